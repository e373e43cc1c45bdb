// The settings that all hooks of databases have. Pure.
import type { Rule, Values } from '../hook.ts';
import { oneOf, words } from '../settings.ts';
import type { Item } from './database.ts';

export const SHARED_SETTINGS: Readonly<Record<string, Rule>> = {
  DATABASES: () => undefined,
  EXCLUDE: () => undefined,
  COMPRESS: oneOf('no', 'zstd'),
  KEEP_OLD: value =>
    keepOldMs(value) === undefined
      ? `is '${value}', and can only be days or hours, as 7d or 12h, or 0`
      : undefined,
};

/** Whether DATABASES has the name, or `all`, and EXCLUDE has it not. */
export function isNamed({ DATABASES, EXCLUDE }: Values, { name }: Pick<Item, 'name'>): boolean {
  const has = (list: string | undefined): boolean => words(list).some(word => matches(word, name));
  return (words(DATABASES).includes('all') || has(DATABASES)) && !has(EXCLUDE);
}

/** `*` stands for anything and `?` for one character, such as a blank. */
export function matches(pattern: string, name: string): boolean {
  const parts = pattern
    .split(/([*?])/)
    .map(part => (part === '*' ? '.*' : part === '?' ? '.' : literal(part)));
  return new RegExp(`^${parts.join('')}$`, 'su').test(name);
}

const literal = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

/** How long what a restore replaced is kept. */
export function keepOldMs(value = '7d'): number | undefined {
  const [, count, unit] = /^(\d{1,4})([dh])$/.exec(value) ?? [];
  if (value === '0') return 0;
  return count === undefined ? undefined : Number(count) * (unit === 'd' ? 86_400_000 : 3_600_000);
}
