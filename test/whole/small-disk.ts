import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface SmallDisk extends Disposable {
  /** Its path, visible only to the program that runs with it. */
  readonly path: string
  /** What goes before a command so that it runs with the disk. */
  readonly within: readonly string[]
  /** Takes all the room that is left, under the program with that process id. */
  fill(pid: number): void
  /** Gives it back. */
  empty(pid: number): void
}

interface SmallDiskOptions {
  readonly megabytes: number
  readonly readOnly?: boolean
}

/** A mount namespace of its own: what is mounted in it is gone with its last process, whatever becomes of the test. */
const ways: readonly (readonly string[])[] = [
  ['unshare', '--mount'],
  ['unshare', '--user', '--map-root-user', '--mount'],
]

/** How this machine lets the tests mount something; undefined: not at all, as in most containers. */
export function wayToMount(): readonly string[] | undefined {
  if (process.platform !== 'linux') return undefined
  return ways.find(([command = '', ...options]) => {
    const folder = mkdtempSync(join(tmpdir(), 'corral-mount-'))
    const { status } = spawnSync(command, [...options, 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder])
    rmdirSync(folder)
    return status === 0
  })
}

/** A disk of so many megabytes, in memory. */
export function smallDisk(way: readonly string[], { megabytes, readOnly = false }: SmallDiskOptions): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), 'corral-disk-'))
  const options = `size=${megabytes}m${readOnly ? ',ro' : ''}`
  const filler = (pid: number) => join(`/proc/${pid}/root`, path, 'filler')
  return {
    path,
    within: [...way, 'sh', '-c', 'mount -t tmpfs -o "$0" tmpfs "$1" && shift && exec "$@"', options, path],
    fill: (pid) => fillUp(filler(pid)),
    empty: (pid) => rmSync(filler(pid)),
    [Symbol.dispose]: () => rmdirSync(path),
  }
}

function fillUp(path: string): void {
  const fd = openSync(path, 'w')
  try {
    for (const size of [65_536, 4_096, 1]) while (wrote(fd, size));
  } finally {
    closeSync(fd)
  }
}

function wrote(fd: number, size: number): boolean {
  try {
    return writeSync(fd, Buffer.alloc(size)) > 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}
