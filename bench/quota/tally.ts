import { truncateSync, writeFileSync } from 'node:fs'

/** What one process has done so far, in memory that it shares with whoever started it, so that it is there still after kill -9. */
export interface Tally {
  /** Requests asked for, admitted, refused, failed (503). */
  asked: number
  admitted: number
  refused: number
  failed: number
  /** Units taken from the store, as far as it has heard; units given back, as far as it has heard. */
  taken: number
  back: number
  /** Units that it has asked for and not heard of yet. */
  inFlight: number
  /** Calls to the store. */
  calls: number
  /** 1: ready to begin; 2: all asked for; 3: its limiter is closed. */
  stage: number
}

/** With the word to begin, from whoever starts it: 1. */
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

/** The tally of one process; its fields are read and written where all see them. */
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

/** The most that is lost with a process: what it has taken and neither used nor given back, and what it may have been given without hearing of it. */
export function outstandingOf({ taken, back, admitted, inFlight }: Tally): number {
  return taken - back - admitted + inFlight
}
