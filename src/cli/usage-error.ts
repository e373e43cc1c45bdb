/** What the caller got wrong, in one line. Exit status 2. */
export class UsageError extends Error {}
