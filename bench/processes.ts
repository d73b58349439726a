import { readdirSync, readFileSync } from 'node:fs'

/** One process's figures, read from /proc. */
interface ProcessFigures {
  readonly pid: number
  readonly name: string
  /** Seconds of CPU time so far, user and system, threads included, reaped children too. */
  readonly cpu: number
  /** Bytes now, and at most so far. */
  readonly rss: number
  readonly peakRss: number
}

/** USER_HZ: the unit of /proc/PID/stat's times is fixed at 1/100 s for every Linux that Node and Bun run on. */
const ticksPerSecond = 100

/** The process and everything under it. */
export function processTree(root: number): ProcessFigures[] {
  const parents = new Map<number, number>()
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry)
    const stat = Number.isInteger(pid) ? statOf(pid) : undefined
    if (stat) parents.set(pid, Number(stat[1]))
  }
  const members = [root]
  for (const member of members) for (const [pid, parent] of parents) if (parent === member) members.push(pid)
  return members.map(figuresOf).filter((figures) => figures !== undefined)
}

export function cpuSeconds(root: number): number {
  return processTree(root).reduce((sum, { cpu }) => sum + cpu, 0)
}

export function rssBytes(root: number): number {
  return processTree(root).reduce((sum, { rss }) => sum + rss, 0)
}

export function peakRssBytes(root: number): number {
  return processTree(root).reduce((sum, { peakRss }) => sum + peakRss, 0)
}

function figuresOf(pid: number): ProcessFigures | undefined {
  const stat = statOf(pid)
  const status = read(`/proc/${pid}/status`)
  if (!stat || !status) return undefined
  // Fields 14 to 17 of proc(5), counted from the state, which is field 3: utime, stime, cutime, cstime.
  const ticks = [11, 12, 13, 14].reduce((sum, field) => sum + Number(stat[field]), 0)
  const kilobytes = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  return {
    pid,
    name: /^Name:\s+(.*)$/m.exec(status)?.[1] ?? '',
    cpu: ticks / ticksPerSecond,
    rss: kilobytes('VmRSS') * 1024,
    peakRss: kilobytes('VmHWM') * 1024,
  }
}

/** The fields of /proc/PID/stat from the state on; the name before may hold spaces and brackets. */
function statOf(pid: number): string[] | undefined {
  const text = read(`/proc/${pid}/stat`)
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** Undefined when the process has gone. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return undefined
    throw error
  }
}
