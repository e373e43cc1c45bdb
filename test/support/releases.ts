// Which releases of Debian a test runs on whose subject is the same program everywhere, with other tools and servers beside it.

export type Suite = 'bullseye' | 'bookworm' | 'trixie';

/** As before a release (`npm run test:thorough`): every release, and what is too long for each day. */
export const isThorough = process.env.TKLBAM_HOOKS_TEST_THOROUGH === 'yes';

/** From the oldest. What is about the package, or the clock, runs on all of them each day. */
export const RELEASES: readonly Suite[] = isThorough ? ['bullseye', 'bookworm', 'trixie'] : ['bookworm'];
