import type { Counter, HoldAnswer, HoldRequest, Standing } from './counters.ts'
import { type CounterState, type Grip, type Outcome, Queue, type Surroundings } from './leases.ts'

/** Milliseconds between two questions for slots that others may have freed. */
const pollPause = 40
/** Milliseconds for which nobody asks again after a refusal. */
const dryPause = 100
/** Milliseconds after which a refused caller may try again: nobody knows when running requests end. */
const soon = 1000
/** A part of this size of the limit that nobody holds is much. */
const muchLeft = 4
/** Milliseconds by which a hold ends earlier here than in the store. */
const margin = 100

/**
 * The slots of one counter. A process holds them for a time, renews that, and counts on them only as long as it lasts by its own two clocks: when it
 * stands still for longer, its slots may be others', and it admits nobody before it holds enough for all it runs.
 */
export class SlotCounter implements CounterState, Grip {
  readonly id: string
  readonly unit: Counter['unit']
  readonly label: string
  readonly period: Counter['period']
  limit: number
  isKept = true
  isSwept = false
  isFresh = true

  readonly #around: Surroundings
  readonly #queue: Queue
  #isClosed = false
  #busy: Promise<void> | undefined
  #running = 0
  /** Most that ran since the last sweep. */
  #peak = 0
  #held = 0
  #heldUntil = { monotonic: -Infinity, wall: -Infinity }
  #contactAt = -Infinity
  #others = 0
  /** Somebody else was refused, or little is left for others: what is not used goes back at once. */
  #isScarce = false
  #isStarved = false
  #pollAt = -Infinity
  #unpoll: (() => void) | undefined
  #dryFrom = Infinity
  #dryUntil = -Infinity

  constructor({ id, unit, label, period, limit }: Counter, around: Surroundings) {
    this.id = id
    this.unit = unit
    this.label = label
    this.period = period
    this.limit = limit
    this.#around = around
    this.#queue = new Queue(around.queue)
  }

  draw(amount: number): this | undefined {
    this.isFresh = true
    return this.#running + amount <= this.#capacity() ? this.#start(amount) : undefined
  }

  settle(reserved: number): void {
    this.#running -= reserved
    this.#dryFrom = Infinity
    if (this.#queue.length > 0) this.#pump()
    else if (this.#isScarce) this.#trim()
  }

  acquire(amount: number, deadline: number): Promise<Outcome> {
    const { queue } = this.#around
    if (this.#isClosed || queue.isFull) return Promise.resolve({ error: new Error('too many requests wait for the quota store') })
    if (this.isShort(amount)) return Promise.resolve({ refused: true })
    const outcome = this.#queue.add(amount, deadline)
    this.#watch()
    if (!this.#busy) this.#pump()
    return outcome
  }

  /** Slots are few: they are asked for when they are needed. */
  warm(): void {}

  isShort(amount: number): boolean {
    if (this.#running + amount > this.limit) return true
    if (this.#running + amount <= this.#capacity()) return false
    return amount >= this.#dryFrom && this.#around.clock.monotonic() < this.#dryUntil
  }

  retryAfter(): number {
    return soon
  }

  standing(): Standing {
    this.isFresh = true
    return { limit: this.limit, remaining: Math.max(this.limit - this.#others - this.#running, 0), reset: 0 }
  }

  update({ limit }: Counter): void {
    if (limit === this.limit) return
    this.limit = limit
    this.#held = Math.min(this.#held, limit)
    this.#dryFrom = Infinity
  }

  sweep(): boolean {
    const { clock, holdFor, link } = this.#around
    const peak = Math.max(this.#peak, this.#running)
    this.#peak = this.#running
    if (this.#queue.length === 0 && link.store.shared) {
      const isDue = clock.monotonic() - this.#contactAt >= holdFor / 3
      if (this.#held > peak || (isDue && (this.#held > 0 || this.#running > 0))) this.#contact({ keep: peak, atLeast: peak, slots: peak })
    }
    return this.#held > 0 || this.#running > 0 || this.#queue.length > 0 || this.#busy !== undefined
  }

  isIdle(): boolean {
    const isFree = !this.#around.link.store.shared || this.#held === 0
    return !this.#busy && this.#queue.length === 0 && this.#running === 0 && isFree
  }

  async close(error: unknown): Promise<void> {
    this.#isClosed = true
    this.#unpoll?.()
    this.#queue.settle(() => ({ error }))
    await this.#busy
    if (this.#held > this.#running) this.#contact({ keep: this.#running, atLeast: this.#running, slots: this.#running }, true)
    await this.#busy
  }

  #start(amount: number): this {
    this.#running += amount
    if (this.#running > this.#peak) this.#peak = this.#running
    return this
  }

  /** Both clocks have to agree: one stands still while a machine sleeps, the other may be set back. */
  #capacity(): number {
    const { clock } = this.#around
    return clock.monotonic() < this.#heldUntil.monotonic && clock.now() < this.#heldUntil.wall ? this.#held : 0
  }

  #pump(): void {
    const { clock, link } = this.#around
    this.#queue.settle(
      ({ amount }) => (this.#running + amount <= this.#capacity() ? this.#start(amount) : undefined),
      () => this.#running < this.#capacity(),
    )
    const first = this.#queue.first
    if (!first) {
      this.#isStarved = false
      return
    }
    if (this.#busy) return
    if (!link.isOpen) return this.#fail(link.error)
    if (clock.monotonic() < this.#pollAt) return
    const running = this.#running
    if (!link.store.shared) return this.#contact({ keep: running, atLeast: running + first.amount, slots: this.limit })
    const next = this.#isStarved ? this.#queue.smallest : first.amount
    const spare = this.#isStarved ? 0 : Math.ceil(running / 4)
    // What is held already stays in use meanwhile; after a refusal what is not used goes back, for others who wait too.
    const keep = this.#isStarved ? running : Math.max(this.#capacity(), running)
    this.#contact({ keep, atLeast: running + next, slots: Math.min(running + this.#queue.total + spare, this.limit) })
  }

  #trim(): void {
    const running = this.#running
    if (this.#held > running) this.#contact({ keep: running, atLeast: running, slots: running })
  }

  #contact(ask: Pick<HoldRequest, 'keep' | 'atLeast' | 'slots'>, isLast = false): void {
    const { clock, link, holder, holdFor } = this.#around
    if (this.#busy || (this.#isClosed && !isLast) || !link.isOpen) return
    this.#contactAt = clock.monotonic()
    // From now on the store may have given the rest to others.
    this.#held = Math.min(this.#held, ask.keep)
    const ttl = link.store.shared ? holdFor : Infinity
    const slots = Math.max(ask.slots, ask.atLeast)
    this.#busy = this.#hold({ ...ask, slots, counter: this.id, holder, limit: this.limit, ttl })
  }

  async #hold(request: Omit<HoldRequest, 'sequence'>): Promise<void> {
    const { clock, link, nextSequence } = this.#around
    // Counted from before the question, so that it ends here before it ends in the store.
    const until = { monotonic: clock.monotonic() + request.ttl - margin, wall: clock.now() + request.ttl - margin }
    let answer: HoldAnswer
    try {
      answer = await link.call(
        () => link.store.hold({ ...request, sequence: nextSequence() }),
        // Nobody knows what became of it by now; the next request, with a higher number, says it anew.
        () => undefined,
      )
    } catch (error) {
      this.#busy = undefined
      return this.#fail(error)
    }
    this.#busy = undefined
    this.#heldUntil = until
    this.#answered(answer, request.atLeast)
  }

  #answered({ held, others, wanted }: HoldAnswer, atLeast: number): void {
    this.#held = held
    this.#others = others
    this.#isScarce = this.#around.link.store.shared && (wanted || this.limit - others - held < this.limit / muchLeft)
    if (held < atLeast && atLeast > this.#running) this.#refused()
    this.#pump()
    if (this.#queue.length === 0 && this.#isScarce) this.#trim()
    if (held > 0 || this.#running > 0) this.#watch()
  }

  #refused(): void {
    const { clock } = this.#around
    const now = clock.monotonic()
    this.#isStarved = true
    this.#queue.settle(({ amount, deadline }) => {
      const mayHope = deadline > now && this.#others > 0
      if (mayHope || this.#running + amount <= this.#held) return undefined
      this.#dryFrom = this.#dryUntil > now ? Math.min(this.#dryFrom, amount) : amount
      this.#dryUntil = now + dryPause
      return { refused: true }
    })
    if (this.#queue.length > 0) this.#poll()
  }

  #poll(): void {
    const { clock } = this.#around
    this.#unpoll?.()
    this.#pollAt = clock.monotonic() + pollPause
    this.#unpoll = clock.after(pollPause, () => {
      this.#pollAt = -Infinity
      this.#pump()
    })
  }

  #fail(error: unknown): void {
    this.#queue.settle(() => ({ error }))
  }

  #watch(): void {
    if (!this.isSwept) this.#around.watch(this)
  }
}
