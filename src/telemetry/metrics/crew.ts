import { unavailable } from '../../errors.ts'
import type { Metrics } from './create-metrics.ts'
import { countedIn, merge } from './merge.ts'
import type { Definition, Snapshot } from './snapshot.ts'

/** One end of the pipe between a supervisor and one of its workers. */
export interface CrewLine {
  /** Does nothing where nobody is at the other end any more. */
  send(message: object): void
  listen(listener: (message: unknown) => void): void
}

/** `count` and `metrics` go to a worker, the others to the supervisor. */
type CrewMessage =
  | { readonly corral: 'metrics?'; readonly id: number }
  | { readonly corral: 'count'; readonly id: number }
  | { readonly corral: 'counted'; readonly id: number; readonly snapshot: Snapshot }
  | { readonly corral: 'metrics'; readonly id: number; readonly snapshot: Snapshot }

interface Member {
  readonly line: CrewLine
  /** What it counted when it was last asked. */
  last: Snapshot
  /** Who waits for its answer. */
  readonly waiting: Set<(snapshot: Snapshot) => void>
  /** `performance.now()` when it was asked what it has not answered yet: one that stands still is not asked all the time. */
  askedAt: number | undefined
}

export interface CrewOptions {
  /** Milliseconds that a worker gets to tell what it counted. Default 1000. */
  readonly limit?: number
  /** Milliseconds for which askers share one sum. Default 250. */
  readonly share?: number
}

/** What all workers have counted, those included that are gone. For the supervisor. */
export class CrewMetrics {
  readonly #definitions: readonly Definition[]
  readonly #limit: number
  readonly #share: number
  readonly #members = new Set<Member>()
  #gone: Snapshot = {}
  #id = 0
  #shared: { readonly at: number; readonly sum: Promise<Snapshot> } | undefined

  constructor(definitions: readonly Definition[], { limit = 1_000, share = 250 }: CrewOptions = {}) {
    this.#definitions = definitions
    this.#limit = limit
    this.#share = share
  }

  /** Gives what to call once the worker is gone: what it counted, as far as it was asked, stays. */
  add(line: CrewLine): () => void {
    const member: Member = { line, last: {}, waiting: new Set(), askedAt: undefined }
    this.#members.add(member)
    line.listen((message) => {
      if (!isCrewMessage(message)) return
      if (message.corral === 'counted') {
        member.last = message.snapshot
        answer(member, message.snapshot)
      } else if (message.corral === 'metrics?')
        void this.sum().then((snapshot) => line.send({ corral: 'metrics', id: message.id, snapshot }))
    })
    return () => {
      if (!this.#members.delete(member)) return
      const counted = countedIn(member.last, this.#definitions)
      this.#gone = merge([this.#gone, counted], this.#definitions)
      answer(member, {})
    }
  }

  /** Never rejects. A worker that does not answer in time is in it with what it counted before. */
  sum(): Promise<Snapshot> {
    const now = performance.now()
    if (this.#shared && now - this.#shared.at < this.#share) return this.#shared.sum
    const sum = this.#ask()
    this.#shared = { at: now, sum }
    return sum
  }

  async #ask(): Promise<Snapshot> {
    const asked = [...this.#members]
    const told = await Promise.all(asked.map((member) => this.#count(member)))
    // What somebody counted who has died since is among that of the gone.
    const living = told.filter((_, at) => this.#members.has(asked[at] as Member))
    return merge([this.#gone, ...living], this.#definitions)
  }

  #count(member: Member): Promise<Snapshot> {
    const { promise, resolve } = Promise.withResolvers<Snapshot>()
    const take = (snapshot: Snapshot): void => {
      clearTimeout(timer)
      member.waiting.delete(take)
      resolve(snapshot)
    }
    const timer = setTimeout(() => take(countedIn(member.last, this.#definitions)), this.#limit)
    member.waiting.add(take)
    const now = performance.now()
    if (member.askedAt === undefined || now - member.askedAt > askAgain) {
      member.askedAt = now
      this.#id += 1
      member.line.send({ corral: 'count', id: this.#id })
    }
    return promise
  }
}

/** Milliseconds. */
const askAgain = 2_000

function answer(member: Member, snapshot: Snapshot): void {
  member.askedAt = undefined
  for (const take of member.waiting) take(snapshot)
}

/** Milliseconds that a worker waits for its supervisor. */
const patience = 3_000

/** For a worker: from now on its `/metrics` tells of all workers. */
export function joinCrew(metrics: Metrics, line: CrewLine): void {
  const waiting = new Map<number, (snapshot: Snapshot) => void>()
  let id = 0
  line.listen((message) => {
    if (!isCrewMessage(message)) return
    if (message.corral === 'count') line.send({ corral: 'counted', id: message.id, snapshot: metrics.collect() })
    else if (message.corral === 'metrics') waiting.get(message.id)?.(message.snapshot)
  })
  metrics.gatherBy(async () => {
    const { promise, resolve, reject } = Promise.withResolvers<Snapshot>()
    const own = (id += 1)
    // Its own numbers alone would look as if the others had begun anew.
    const timer = setTimeout(() => reject(unavailable('The supervisor does not tell what all workers have counted.', 5)), patience)
    waiting.set(own, resolve)
    line.send({ corral: 'metrics?', id: own })
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      waiting.delete(own)
    }
  })
}

function isCrewMessage(message: unknown): message is CrewMessage {
  if (typeof message !== 'object' || message === null || !('corral' in message) || !('id' in message)) return false
  return typeof message.corral === 'string' && typeof message.id === 'number'
}
