import type { Counter, StoreExchange, Limiter, QuotaStore, QuotaRefusal, Reservation } from '../../src/quota/counters.ts'
import { type Clock, createLimiter, type LimiterOptions } from '../../src/quota/limiter.ts'
import { createMemoryStore } from '../../src/quota/stores/memory.ts'
import { windowAt } from '../../src/quota/windows.ts'

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Planned {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

/** Time that passes only when everything that happens at one moment has happened, promises included. */
export class VirtualTime {
  now: number
  #planned: Planned[] = []
  #order = 0

  constructor(now: number) {
    this.now = now
  }

  after(milliseconds: number, run: () => void): () => void {
    const planned = { at: this.now + Math.max(milliseconds, 0), order: this.#order++, run }
    this.#planned.push(planned)
    return () => {
      const at = this.#planned.indexOf(planned)
      if (at >= 0) this.#planned.splice(at, 1)
    }
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void this.after(milliseconds, resolve))
  }

  async runUntil(end: number): Promise<void> {
    await settled()
    while (await this.step(end));
    this.now = end
  }

  /** What comes next, as far as it comes until `end`. */
  async step(end = Infinity): Promise<boolean> {
    const next = this.#planned.reduce<Planned | undefined>((first, one) => (!first || before(one, first) ? one : first), undefined)
    if (!next || next.at > end) return false
    this.#planned.splice(this.#planned.indexOf(next), 1)
    this.now = next.at
    next.run()
    await settled()
    return true
  }

  clock(skew = () => 0): Clock {
    return { now: () => this.now + skew(), monotonic: () => this.now, after: (milliseconds, run) => this.after(milliseconds, run) }
  }
}

const before = (one: Planned, other: Planned) => one.at < other.at || (one.at === other.at && one.order < other.order)

/** Every promise that can go on has gone on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** What may happen on the way to the store, as probabilities and milliseconds. */
export interface Network {
  /** At most, one way. */
  readonly delay: number
  /** A reply comes after the limiter has given up on it. */
  readonly late: number
  /** A question gets there after the limiter has given up on it. */
  readonly stuck: number
  readonly lostRequest: number
  readonly lostReply: number
  /** Of those that are lost: never a reply; else an error. */
  readonly silence: number
}

export const goodNetwork: Network = { delay: 3, late: 0, stuck: 0, lostRequest: 0, lostReply: 0, silence: 0 }

interface WorldOptions {
  readonly seed: number
  readonly start?: number
  readonly network?: Network
  readonly limiter?: Partial<LimiterOptions>
}

/** What is known from outside about one window of one counter. */
interface Tally {
  admitted: number
  excess: number
  writtenOff: number
}

/** Several processes, each with a limiter and a clock of its own, over one store that is only ever reached through a network. */
export class World {
  readonly time: VirtualTime
  readonly random: () => number
  readonly store: QuotaStore
  readonly processes: Process[] = []
  readonly options: WorldOptions
  readonly violations: string[] = []
  network: Network
  readonly #tallies = new Map<string, Tally>()

  constructor(options: WorldOptions) {
    this.options = options
    this.network = options.network ?? goodNetwork
    this.random = randomFrom(options.seed)
    this.time = new VirtualTime(options.start ?? Date.UTC(2026, 0, 5))
    this.store = createMemoryStore({ shared: true, now: () => this.time.now })
  }

  below(max: number): number {
    return Math.floor(this.random() * max)
  }

  start(count: number, skewOf: (index: number) => () => number = () => () => 0): void {
    for (let index = 0; index < count; index++) this.processes.push(new Process(this, skewOf(index)))
  }

  tally(counter: string, windowStart: number): Tally {
    const key = `${counter} ${windowStart}`
    const known = this.#tallies.get(key)
    if (known) return known
    const tally: Tally = { admitted: 0, excess: 0, writtenOff: 0 }
    this.#tallies.set(key, tally)
    return tally
  }

  /** Units taken in the store, read without a network between. */
  async taken({ id, limit, period }: Counter): Promise<number> {
    const window = windowAt(period, this.time.now)
    const reply = await this.store.exchange({ counter: id, window, limit, returned: 0, owed: 0, atLeast: 0, wanted: 0, leased: 0 })
    return limit - reply.remaining
  }

  /** Runs `story` in virtual time to its end. */
  async play(story: Promise<unknown>): Promise<void> {
    const state = { isOver: false }
    const ended = story.finally(() => (state.isOver = true))
    ended.catch(() => undefined)
    await this.time.runUntil(this.time.now)
    while (!state.isOver) if (!(await this.time.step())) throw new Error('nothing happens any more, and the story is not over')
    await ended
    if (this.violations.length > 0) throw new Error(this.violations.slice(0, 5).join('; '))
  }

  /** What has become of a window, from outside: the admitted units plus those that cannot be used any more. */
  accountOf(counter: Counter): Tally & { outstanding: number } {
    const { start } = windowAt(counter.period, this.time.now)
    const { admitted, excess, writtenOff } = this.tally(counter.id, start)
    const key = `${counter.id} ${start}`
    let outstanding = 0
    let lost = writtenOff
    for (const process of this.processes) {
      if (process.isDead) lost += process.outstanding(key)
      else outstanding += process.outstanding(key)
    }
    return { admitted, excess, writtenOff: lost, outstanding }
  }
}

/** One process: its limiter, its own clock, its own way to the store, and what it has been seen to take, give back and admit. */
export class Process {
  readonly limiter: Limiter
  readonly clock: Clock
  isDead = false
  admitted = 0
  refused = 0
  failed = 0
  /** The last hold of slots that it has heard of. */
  held = { slots: 0, until: -Infinity, sequence: 0 }
  readonly #world: World
  #stalledUntil = -Infinity
  /** The last hold that the store has obeyed. */
  #obeyed = 0
  /** Units taken and not given back, by counter and window, as far as the process has heard of them. */
  readonly #lease = new Map<string, number>()

  constructor(world: World, skew: () => number) {
    this.#world = world
    const clock = world.time.clock(skew)
    this.clock = {
      ...clock,
      after: (milliseconds, run) => clock.after(milliseconds, () => void this.#whenAwake().then(run)),
    }
    this.limiter = createLimiter({ store: this.#remote(), failure: 'closed', clock: this.clock, ...world.options.limiter })
  }

  outstanding(key: string): number {
    return this.#lease.get(key) ?? 0
  }

  /** kill -9. */
  kill(): void {
    this.isDead = true
  }

  /** Stopped: nothing is done and nothing is received until it continues. */
  stall(milliseconds: number): void {
    this.#stalledUntil = this.#world.time.now + milliseconds
  }

  get isStalled(): boolean {
    return this.#stalledUntil > this.#world.time.now
  }

  /** Never resolves in a dead process. */
  async #whenAwake(): Promise<void> {
    while (this.isStalled) await this.#world.time.sleep(this.#stalledUntil - this.#world.time.now)
    if (this.isDead) await new Promise<never>(() => undefined)
  }

  /**
   * Reserves, and settles after `duration` with `used`. Resolves with what the limiter said; what is admitted beyond the limit of the window of
   * the process's clock is among the world's violations.
   */
  async request(
    counter: Counter,
    amount: number,
    { used = amount, duration = 0 } = {},
  ): Promise<'admitted' | 'refused' | 'failed' | 'dead'> {
    let reply: Reservation | QuotaRefusal
    try {
      const given = this.limiter.reserve([{ counter, amount }])
      reply = given instanceof Promise ? await given : given
    } catch {
      this.failed++
      return 'failed'
    }
    if (this.isDead) return 'dead'
    if ('refused' in reply) {
      this.refused++
      return 'refused'
    }
    this.admitted++
    const reservation = reply
    const { start } = windowAt(counter.period, this.clock.now())
    const tally = this.#world.tally(counter.id, start)
    const key = `${counter.id} ${start}`
    this.#charge(counter, tally, key, amount)
    await this.#world.time.sleep(duration)
    if (this.isDead) return 'dead'
    if (used > amount) tally.excess += used - amount
    this.#charge(counter, tally, key, used - amount)
    reservation.settle([used])
    return 'admitted'
  }

  #charge({ limit, label }: Counter, tally: Tally, key: string, amount: number): void {
    tally.admitted += amount
    this.#lease.set(key, this.outstanding(key) - amount)
    if (tally.admitted > limit + tally.excess) this.#world.violations.push(`${label}: ${tally.admitted} of ${limit}`)
  }

  #remote(): QuotaStore {
    const { store } = this.#world
    return {
      shared: true,
      exchange: (request) => this.#exchange(request),
      hold: (request) => {
        let isObeyed = false
        let slots = 0
        const { sequence, ttl } = request
        const until = this.#world.time.now + ttl
        const run = async () => {
          isObeyed = sequence > this.#obeyed
          if (isObeyed) this.#obeyed = sequence
          const reply = await store.hold(request)
          slots = reply.held
          return reply
        }
        return this.#travel(run, () => isObeyed && sequence > this.held.sequence && (this.held = { slots, until, sequence }))
      },
      async [Symbol.asyncDispose]() {},
    }
  }

  #exchange(request: StoreExchange) {
    const key = `${request.counter} ${request.window.start}`
    const tally = this.#world.tally(request.counter, request.window.start)
    const lease = (units: number) => void this.#lease.set(key, this.outstanding(key) + units)
    // What goes back is out of its hands at once, wherever it gets to.
    lease(-request.returned)
    tally.writtenOff += request.returned
    let taken = 0
    return this.#travel(
      async () => {
        const reply = await this.#world.store.exchange(request)
        taken = reply.taken
        tally.writtenOff += taken - request.returned + request.owed
        return reply
      },
      () => {
        lease(taken + request.owed)
        tally.writtenOff -= taken + request.owed
      },
    )
  }

  /** A round trip; `heard` is called when the reply has arrived. */
  async #travel<T>(run: () => Promise<T>, heard: () => unknown): Promise<T> {
    const { time, random, network } = this.#world
    const delay = () => time.sleep(random() * network.delay)
    await (random() < network.stuck ? time.sleep(1600 + random() * 4000) : delay())
    if (random() < network.lostRequest) return await this.#lose()
    const reply = await run()
    await (random() < network.late ? time.sleep(1600) : delay())
    if (random() < network.lostReply) return await this.#lose()
    await this.#whenAwake()
    heard()
    return reply
  }

  async #lose(): Promise<never> {
    if (this.#world.random() < this.#world.network.silence) return await new Promise<never>(() => undefined)
    throw new Error('the connection was cut')
  }
}
