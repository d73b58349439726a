import { truncateSync, writeFileSync } from 'node:fs'

/** The tally of one process, in memory shared with the parent process, so that it survives kill -9. */
export interface Tally {
  /** Requests sent, admitted, refused, failed (503). */
  asked: number
  admitted: number
  refused: number
  failed: number
  /** Units taken from the store and units returned, as confirmed to this process. */
  taken: number
  back: number
  /** Units requested from the store whose reply is pending. */
  inFlight: number
  /** Calls to the store. */
  calls: number
  /** 1: ready to begin; 2: all requests sent; 3: its limiter is closed. */
  stage: number
}

/** Set to 1 by the parent process to begin. */
interface Begun extends Tally {
  begun: number
}

const fields = ['asked', 'admitted', 'refused', 'failed', 'taken', 'back', 'inFlight', 'calls', 'stage'] as const
const slots = fields.length + 1
const bytesEach = slots * Float64Array.BYTES_PER_ELEMENT

export function makeTallies(path: string, processes: number): void {
  writeFileSync(path, '')
  truncateSync(path, processes * bytesEach)
}

/** The tally of one process; its fields are in shared memory. */
export function tallyOf(path: string, index: number): Begun {
  const mapped = Bun.mmap(path, { shared: true })
  const numbers = new Float64Array(mapped.buffer, mapped.byteOffset + index * bytesEach, slots)
  const tally = {}
  const share = (field: string, at: number): void => {
    const get = () => numbers[at] ?? 0
    const set = (value: number) => {
      numbers[at] = value
    }
    Object.defineProperty(tally, field, { get, set })
  }
  for (const [at, field] of fields.entries()) share(field, at)
  share('begun', fields.length)
  return tally as Begun
}

/** The maximum lost with a process: units taken but neither used nor returned, and units that may have been granted without its knowledge. */
export function outstandingOf({ taken, back, admitted, inFlight }: Tally): number {
  return taken - back - admitted + inFlight
}
