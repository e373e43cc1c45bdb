// What `snapshot` makes of what LVM says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  devicesAround,
  escapeWord,
  type LogicalVolume,
  lackOfRoom,
  type Mount,
  overflowed,
  parseLvs,
  parseMounts,
  removable,
  type Snapshot,
  sizeRule,
  stuckOrigins,
  volumeOf,
} from '../../src/library/snapshot/volume.ts';

const MIB = 2 ** 20;
const lv = (changes: Partial<LogicalVolume> = {}): LogicalVolume => ({
  vg: 'vg',
  name: 'data',
  tags: [],
  origin: '',
  pool: '',
  device: '253:0',
  size: 1000 * MIB,
  extentSize: 4 * MIB,
  free: 300 * MIB,
  dataPercent: Number.NaN,
  metadataPercent: Number.NaN,
  isInvalid: false,
  isMerging: false,
  isSuspended: false,
  ...changes,
});
const mount: Mount = {
  target: '/srv',
  source: '/dev/mapper/vg-data',
  device: '253:0',
  fstype: 'ext4',
  options: 'rw',
  root: '/',
};
const volume = (changes?: Partial<LogicalVolume>) => ({ kind: 'lvm', mount, lv: lv(changes) }) as const;
const snapshot = (name: string, vg = 'vg'): Snapshot => ({
  kind: 'lvm',
  vg,
  name,
  origin: 'data',
  isThin: false,
  mount,
});

test('lvs is read, a hidden volume by its name', () => {
  const row = {
    ...{
      vg_name: 'vg',
      lv_name: '[data]',
      lv_tags: 'a,tklbam-hooks',
      origin: 'o',
      pool_lv: 'p',
      lv_size: '4194304',
    },
    ...{
      vg_extent_size: '4194304',
      vg_free: '0',
      data_percent: '100.00',
      metadata_percent: '',
      lv_attr: 'swi-I-s---',
    },
    ...{ lv_kernel_major: '253', lv_kernel_minor: '7', lv_snapshot_invalid: '', lv_suspended: '' },
  };
  const [found] = parseLvs(JSON.stringify({ report: [{ lv: [row] }] }));
  assert.deepEqual(found, {
    ...lv({ tags: ['a', 'tklbam-hooks'], origin: 'o', pool: 'p', device: '253:7', size: 4 * MIB, free: 0 }),
    ...{ dataPercent: 100, isInvalid: true },
  });
  const isInvalid = (said: string, attributes: string): unknown =>
    parseLvs(
      JSON.stringify({ report: [{ lv: [{ ...row, lv_snapshot_invalid: said, lv_attr: attributes }] }] }),
    )[0]?.isInvalid;
  // As lvs says it of a thick one and of a thin one.
  assert.equal(isInvalid('snapshot invalid', 'swi-I-s---'), true);
  assert.equal(isInvalid('', 'swi-a-s---'), false);
  assert.equal(isInvalid('unknown', 'Vwi-aotz--'), false);
  assert.equal(parseLvs('{"report":[{"lv":[]}]}').length, 0);
});

test('findmnt is read', () => {
  const { target, source, fstype, options } = mount;
  const row = { target, source, fstype, options, 'maj:min': '253:0', fsroot: '/' };
  assert.deepEqual(parseMounts(JSON.stringify({ filesystems: [row] })), [mount]);
});

test('the volume of a mount is found by its device', () => {
  assert.deepEqual(volumeOf('/srv/x', mount, [lv({ device: '253:9' }), lv()], undefined), volume());
});

test('a bind mount and a plain partition are no volumes', () => {
  const reason = (changes: Partial<Mount>, lvs: readonly LogicalVolume[]) => {
    const found = volumeOf('/srv', { ...mount, ...changes }, lvs, undefined);
    return 'reason' in found ? found.reason : undefined;
  };
  assert.equal(
    reason({ root: '/home' }, [lv()]),
    '/srv is on /srv, which is a part of a file system (/home)',
  );
  assert.equal(reason({}, []), '/srv is on ext4 of /dev/mapper/vg-data, and neither LVM nor btrfs');
});

const rooms: [string, string, Parameters<typeof lackOfRoom>[0], boolean][] = [
  ['20 % of the origin', '20%ORIGIN', [volume()], true],
  ['31 % of the origin', '31%ORIGIN', [volume()], false],
  ['two of one group together', '20%ORIGIN', [volume(), volume({ name: 'b' })], false],
  ['a size', '300M', [volume()], true],
  ['a size above it', '0.3G', [volume()], false],
  ['all that is free', '100%FREE', [volume()], true],
  ['all that is free, of nothing', '100%FREE', [volume({ free: 0 })], false],
  ['a thin volume needs none', '5G', [volume({ pool: 'pool', free: 0 })], true],
];
for (const [what, size, volumes, isEnough] of rooms) {
  test(`room: ${what}`, () => assert.equal(lackOfRoom(volumes, [], size).length === 0, isEnough));
}

for (const [dataPercent, metadataPercent, isEnough] of [
  [89.9, 5, true],
  [90, 5, false],
  [5, 95, false],
] as const) {
  test(`room: a thin pool of which ${dataPercent} % and ${metadataPercent} % are used`, () => {
    const pool = lv({ name: 'pool', dataPercent, metadataPercent });
    assert.equal(lackOfRoom([volume({ pool: 'pool' })], [pool], '20%ORIGIN').length === 0, isEnough);
  });
}

test('what may be removed has a name that was noted and our tag', () => {
  const all = [
    lv({ name: 'ours', tags: ['tklbam-hooks'] }),
    lv({ name: 'ours', tags: [] }),
    lv({ name: 'ours', tags: ['tklbam-hooks'], vg: 'other' }),
    lv({ name: 'theirs', tags: ['tklbam-hooks'] }),
  ];
  assert.deepEqual(removable([snapshot('ours')], all), [all[0]]);
});

test('what is to be resumed is an origin of ours that is suspended', () => {
  const lvs = [
    lv({ name: 'data', isSuspended: true }),
    lv({ name: 'data', vg: 'other', isSuspended: true }),
    lv({ name: 'theirs', isSuspended: true }),
  ];
  assert.deepEqual(stuckOrigins([snapshot('ours')], lvs), [lvs[0]]);
  assert.deepEqual(stuckOrigins([snapshot('ours')], [lv()]), []);
});

test('the devices of an origin and its snapshot have the names that LVM gives them, those below first', () => {
  assert.deepEqual(devicesAround(lv({ vg: 'a-b' }), [snapshot('x-y', 'a-b')]), [
    'a--b-data-real',
    'a--b-x--y-cow',
    'a--b-data',
    'a--b-x--y',
  ]);
  assert.deepEqual(devicesAround(lv({ pool: 'p' }), []), ['vg-p-tpool', 'vg-data-real', 'vg-data']);
});

test('an overflowed snapshot is one of ours that is invalid', () => {
  const [good, bad] = [snapshot('good'), snapshot('bad')];
  const lvs = [
    lv({ name: 'good' }),
    lv({ name: 'bad', isInvalid: true }),
    lv({ name: 'x', isInvalid: true }),
  ];
  assert.deepEqual(overflowed([good, bad], lvs), [bad]);
});

for (const [value, isGood] of Object.entries({
  '20%ORIGIN': true,
  '10%FREE': true,
  '500M': true,
  '1.5g': true,
  '20%': false,
  '500': false,
  '-5G': false,
  '5G;x': false,
})) {
  test(`SIZE=${value}`, () => assert.equal(sizeRule(value) === undefined, isGood));
}

test('a word of the view has no blank', () => {
  assert.equal(escapeWord('/a b\t\\n\n'), '/a\\040b\\011\\134n\\012');
});
