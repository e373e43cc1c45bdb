/** The directory of this repository, without a slash at its end. */
export const repository = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');
