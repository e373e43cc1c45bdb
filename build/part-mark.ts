/** Stands between the parts of dist/tklbam-hooks.cjs. */
export const PART_MARK = '\n//# part';
