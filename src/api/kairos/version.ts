/** What a KairosDB of this version says of itself: clients compare it. */
export const VERSION_NAME = 'KairosDB 1.3.0-1.20210808223203';
