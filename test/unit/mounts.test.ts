import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountLines, mountsOf } from '../../src/system/mounts.ts';

const fuse = (point: string, options: string, type = 'fuse'): string =>
  `301 29 0:77 / ${point} rw,nosuid,nodev,relatime shared:150 - ${type} evil ${options}\n`;
const ext4 = '29 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n';

const cases: [string, string, string, Record<string, string>][] = [
  ['nothing', '', '', {}],
  ['no user’s', ext4, '', {}],
  [
    'FUSE of a user',
    ext4 + fuse('/mnt/x', 'rw,user_id=1000,group_id=1000,allow_other'),
    '',
    { '/mnt/x': 'user 1000' },
  ],
  [
    'fuse.sshfs',
    fuse('/mnt/x', 'rw,user_id=1000,group_id=1000', 'fuse.sshfs'),
    '',
    { '/mnt/x': 'user 1000' },
  ],
  ['FUSE of root', fuse('/mnt/x', 'rw,user_id=0,group_id=0'), '', { '/mnt/x': 'user 0' }],
  ['a name that is escaped', fuse('/mnt/a\\040b\\134', 'user_id=7'), '', { '/mnt/a b\\': 'user 7' }],
  ['one that another file system hides', fuse('/', 'user_id=7') + ext4, '', {}],
  ['a name of a source that looks like options', '30 1 0:5 / /mnt/x rw - ext4 user_id=7 rw\n', '', {}],
  [
    'two optional fields',
    '30 1 0:5 / /mnt/x rw shared:1 master:2 - fuse s rw,user_id=7\n',
    '',
    { '/mnt/x': 'user 7' },
  ],
  [
    'mount(8) for a user',
    ext4,
    'SRC=/dev/sdb1 TARGET=/mnt/usb ROOT=/ OPTS=user=ann\n',
    { '/mnt/usb': 'user ann' },
  ],
  [
    'udisks for a user',
    ext4,
    'ID=5 SRC=/dev/sdb1 TARGET=/media/ann/my\\040stick ROOT=/ OPTS=uhelper=udisks2\n',
    { '/media/ann/my stick': 'a user, by udisks2' },
  ],
  ['mount(8) for root', ext4, 'SRC=/dev/sdb1 TARGET=/mnt/usb ROOT=/ OPTS=_netdev\n', {}],
];
for (const [what, mountinfo, utab, expected] of cases) {
  test(`mounts of users: ${what}`, () => {
    assert.deepEqual(Object.fromEntries(mountsOf(mountinfo, utab)), expected);
  });
}

test('mounts of one type: neither what is like it, nor a directory or a source of that name', () => {
  const lines = [
    ext4,
    '30 29 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n',
    '31 29 0:5 / /mnt/cgroup2 rw - tmpfs cgroup2 rw\n',
    '32 29 0:6 / /mnt/x rw - fuse.cgroup2 - rw,user_id=7\n',
  ];
  assert.deepEqual(
    mountLines(lines.join(''), 'cgroup2').map(({ path }) => path),
    ['/sys/fs/cgroup'],
  );
  assert.equal(mountLines(lines.join('')).length, 4);
});
