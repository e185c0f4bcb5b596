/** What one kind of server has to say about itself; `servers.ts` does the rest alike for all. */

export const serverNames = ['kafka', 'cassandra', 'influxdb', 'kairosdb'] as const;
export type ServerName = (typeof serverNames)[number];

/** Where one server lives while it runs. */
export interface Site {
  /** Its own folder; emptied at each start, except for the log. */
  readonly directory: string;
  /** Keeps what is expensive to get (jars, the influxd binary) between starts. */
  readonly cache: string;
  /** Free loopback ports by the names in `Server.ports`. */
  readonly ports: Readonly<Record<string, number>>;
  /** Addresses of the servers named in `Server.after`, as their environment variables. */
  readonly neighbours: Readonly<Record<string, string>>;
  /** Random per start; for servers that want a password. */
  readonly secret: string;
}

export interface Server {
  readonly name: ServerName;
  /** Servers that must be ready first. */
  readonly after: readonly ServerName[];
  readonly ports: readonly string[];
  readonly readyWithinMs: number;
  /** Gets what is missing and writes the configuration; resolves with the command line to run. */
  prepare(site: Site): Promise<readonly [command: string, ...parameters: string[]]>;
  /** True once clients can work; `log` is everything it has said so far. */
  ready(site: Site, log: string): Promise<boolean>;
  /** The environment variables by which tests find it. */
  addresses(site: Site): Readonly<Record<string, string>>;
}
