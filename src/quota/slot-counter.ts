import type { Counter, HoldReply, HoldRequest, CounterStatus } from './counters.ts'
import { type CounterState, type Hold, type AcquireResult, DemandQueue, type LimiterContext } from './leases.ts'

/** Milliseconds between two calls for slots that other processes may have freed. */
const pollInterval = 40
/** Milliseconds without a call after a refusal. */
const exhaustedPause = 100
/** Milliseconds of `Retry-After`: when requests in flight end is unknown. */
const defaultRetryAfter = 1000
/** The counter is scarce if less than this part of its limit is free. */
const scarcityDivisor = 4
/** Milliseconds by which a hold ends earlier here than in the store. */
const holdMargin = 100

/**
 * The slots of one counter: requests in flight. A process holds slots for a time and renews the hold. It relies on them while the hold lasts by both of its
 * clocks: after a longer stall other processes may have the slots, and it admits no request before it holds enough for those in flight.
 */
export class SlotCounter implements CounterState, Hold {
  readonly id: string
  readonly unit: Counter['unit']
  readonly label: string
  readonly limitName: string | undefined
  readonly period: Counter['period']
  limit: number
  isRegistered = true
  isSwept = false
  isRecentlyUsed = true

  readonly #context: LimiterContext
  readonly #queue: DemandQueue
  #isClosed = false
  #busy: Promise<void> | undefined
  #running = 0
  /** Maximum of requests in flight since the last sweep. */
  #peak = 0
  #held = 0
  #heldUntil = { monotonic: -Infinity, wall: -Infinity }
  #contactAt = -Infinity
  #others = 0
  /** Other processes need slots: unused ones are returned without waiting for the sweep. */
  #isScarce = false
  #isContended = false
  #pollAt = -Infinity
  #cancelPoll: (() => void) | undefined
  #exhaustedAbove = Infinity
  #exhaustedUntil = -Infinity

  constructor({ id, unit, label, limitName, period, limit }: Counter, context: LimiterContext) {
    this.id = id
    this.unit = unit
    this.label = label
    this.limitName = limitName
    this.period = period
    this.limit = limit
    this.#context = context
    this.#queue = new DemandQueue(context.waiterLimit)
  }

  tryTake(amount: number): this | undefined {
    this.isRecentlyUsed = true
    return this.#running + amount <= this.#capacity() ? this.#start(amount) : undefined
  }

  settle(reserved: number): void {
    this.#running -= reserved
    this.#exhaustedAbove = Infinity
    if (this.#queue.length > 0) this.#serveQueue()
    else if (this.#isScarce) this.#trim()
  }

  acquire(amount: number, deadline: number): Promise<AcquireResult> {
    const { waiterLimit } = this.#context
    if (this.#isClosed || waiterLimit.isFull) return Promise.resolve({ error: new Error('too many requests wait for the quota store') })
    if (this.isExhausted(amount)) return Promise.resolve({ refused: true })
    const result = this.#queue.add(amount, deadline)
    this.#watch()
    if (!this.#busy) this.#serveQueue()
    return result
  }

  /** Slots are few: they are requested when they are needed. */
  prefetch(): void {}

  isExhausted(amount: number): boolean {
    if (this.#running + amount > this.limit) return true
    if (this.#running + amount <= this.#capacity()) return false
    return amount >= this.#exhaustedAbove && this.#context.clock.monotonic() < this.#exhaustedUntil
  }

  retryAfter(): number {
    return defaultRetryAfter
  }

  status(): CounterStatus {
    this.isRecentlyUsed = true
    return { limit: this.limit, remaining: Math.max(this.limit - this.#others - this.#running, 0), reset: 0 }
  }

  update({ limit }: Counter): void {
    if (limit === this.limit) return
    this.limit = limit
    this.#held = Math.min(this.#held, limit)
    this.#exhaustedAbove = Infinity
  }

  sweep(): boolean {
    const { clock, holdTimeout, link } = this.#context
    const peak = Math.max(this.#peak, this.#running)
    this.#peak = this.#running
    if (this.#queue.length === 0 && link.store.shared) {
      const isDue = clock.monotonic() - this.#contactAt >= holdTimeout / 3
      if (this.#held > peak || (isDue && (this.#held > 0 || this.#running > 0)))
        this.#startExchange({ keep: peak, atLeast: peak, slots: peak })
    }
    return this.#held > 0 || this.#running > 0 || this.#queue.length > 0 || this.#busy !== undefined
  }

  isIdle(): boolean {
    const isFree = !this.#context.link.store.shared || this.#held === 0
    return !this.#busy && this.#queue.length === 0 && this.#running === 0 && isFree
  }

  async close(error: unknown): Promise<void> {
    this.#isClosed = true
    this.#cancelPoll?.()
    this.#queue.settle(() => ({ error }))
    await this.#busy
    if (this.#held > this.#running) this.#startExchange({ keep: this.#running, atLeast: this.#running, slots: this.#running }, true)
    await this.#busy
  }

  #start(amount: number): this {
    this.#running += amount
    if (this.#running > this.#peak) this.#peak = this.#running
    return this
  }

  /** Both clocks must agree: the monotonic one stops while a machine sleeps, the other may be set back. */
  #capacity(): number {
    const { clock } = this.#context
    return clock.monotonic() < this.#heldUntil.monotonic && clock.now() < this.#heldUntil.wall ? this.#held : 0
  }

  #serveQueue(): void {
    const { clock, link } = this.#context
    this.#queue.settle(
      ({ amount }) => (this.#running + amount <= this.#capacity() ? this.#start(amount) : undefined),
      () => this.#running < this.#capacity(),
    )
    const first = this.#queue.first
    if (!first) {
      this.#isContended = false
      return
    }
    if (this.#busy) return
    if (!link.isOpen) return this.#fail(link.error)
    if (clock.monotonic() < this.#pollAt) return
    const running = this.#running
    if (!link.store.shared) return this.#startExchange({ keep: running, atLeast: running + first.amount, slots: this.limit })
    const next = this.#isContended ? this.#queue.smallest : first.amount
    const spare = this.#isContended ? 0 : Math.ceil(running / 4)
    // Slots that are held stay in use meanwhile; after a refusal unused ones are returned for other waiting processes.
    const keep = this.#isContended ? running : Math.max(this.#capacity(), running)
    this.#startExchange({ keep, atLeast: running + next, slots: Math.min(running + this.#queue.total + spare, this.limit) })
  }

  #trim(): void {
    const running = this.#running
    if (this.#held > running) this.#startExchange({ keep: running, atLeast: running, slots: running })
  }

  #startExchange(terms: Pick<HoldRequest, 'keep' | 'atLeast' | 'slots'>, isLast = false): void {
    const { clock, link, holder, holdTimeout } = this.#context
    if (this.#busy || (this.#isClosed && !isLast) || !link.isOpen) return
    this.#contactAt = clock.monotonic()
    // From now on the store may have given the rest to other processes.
    this.#held = Math.min(this.#held, terms.keep)
    const ttl = link.store.shared ? holdTimeout : Infinity
    const slots = Math.max(terms.slots, terms.atLeast)
    this.#busy = this.#exchangeHold({ ...terms, slots, counter: this.id, holder, limit: this.limit, ttl })
  }

  async #exchangeHold(request: Omit<HoldRequest, 'sequence'>): Promise<void> {
    const { clock, link, nextSequence } = this.#context
    // Starts before the call, so that the hold ends here before it ends in the store.
    const until = { monotonic: clock.monotonic() + request.ttl - holdMargin, wall: clock.now() + request.ttl - holdMargin }
    let reply: HoldReply
    try {
      reply = await link.call(
        () => link.store.hold({ ...request, sequence: nextSequence() }),
        // A late reply may be outdated: the next request, with a higher number, repeats it.
        () => undefined,
      )
    } catch (error) {
      this.#busy = undefined
      return this.#fail(error)
    }
    this.#busy = undefined
    this.#heldUntil = until
    this.#handleReply(reply, request.atLeast)
  }

  #handleReply({ held, others, contended }: HoldReply, atLeast: number): void {
    this.#held = held
    this.#others = others
    this.#isScarce = this.#context.link.store.shared && (contended || this.limit - others - held < this.limit / scarcityDivisor)
    if (held < atLeast && atLeast > this.#running) this.#handleRefusal()
    this.#serveQueue()
    if (this.#queue.length === 0 && this.#isScarce) this.#trim()
    if (held > 0 || this.#running > 0) this.#watch()
  }

  #handleRefusal(): void {
    const { clock } = this.#context
    const now = clock.monotonic()
    this.#isContended = true
    this.#queue.settle(({ amount, deadline }) => {
      const mayWait = deadline > now && this.#others > 0
      if (mayWait || this.#running + amount <= this.#held) return undefined
      this.#exhaustedAbove = this.#exhaustedUntil > now ? Math.min(this.#exhaustedAbove, amount) : amount
      this.#exhaustedUntil = now + exhaustedPause
      return { refused: true }
    })
    if (this.#queue.length > 0) this.#poll()
  }

  #poll(): void {
    const { clock } = this.#context
    this.#cancelPoll?.()
    this.#pollAt = clock.monotonic() + pollInterval
    this.#cancelPoll = clock.after(pollInterval, () => {
      this.#pollAt = -Infinity
      this.#serveQueue()
    })
  }

  #fail(error: unknown): void {
    this.#queue.settle(() => ({ error }))
  }

  #watch(): void {
    if (!this.isSwept) this.#context.watch(this)
  }
}
