/**
 * Address space that an LMDB environment gets ahead, neither memory nor disk. One that outgrows its own maps the file again and
 * keeps what was mapped before, so that pages count twice and more in resident memory; beyond this it still grows so.
 */
export const mapBytes = 64 * 1024 ** 3;
