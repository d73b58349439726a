import type { Period } from '../call.ts'
import type { Counter, Exchange, ExchangeAnswer, Standing } from './counters.ts'
import { type CounterState, Lease, type Outcome, Queue, type Surroundings } from './leases.ts'
import { WrittenOff } from './leases-written-off.ts'
import { isWithin, windowAt } from './windows.ts'

/** A lease that lasted less than this many milliseconds is followed by one twice as large, one that lasted longer than `long` by one half as large. */
const short = 200
const long = 1000
/** A lease is at most so many times what was used of the last one. */
const largestGrowth = 4
/** The first lease: the units of so many requests beyond the one that needs them. */
const firstSpare = 3
/** What is left is little, when so many processes could not each take what the next request needs. */
const processesAtEnd = 8
/** Milliseconds between two questions for what others may have given back. */
const pollPause = 40
/** Milliseconds for which nobody asks again after a refusal; doubled up to the longest as long as nothing comes back. */
const firstDryPause = 250
const longestDryPause = 2000
/** Milliseconds after which a refused caller may try again where running requests may leave something over. */
const soon = 1000
/** Sweeps without use after which a lease of a store that nobody shares is given back. */
const idleSweeps = 20

/** One counter of units in windows: what this process holds of it, and who waits for more. */
export class UnitCounter implements CounterState {
  readonly id: string
  readonly unit: Counter['unit']
  readonly label: string
  period: Period
  limit: number
  isKept = true
  isSwept = false
  isFresh = true

  readonly #around: Surroundings
  readonly #queue: Queue
  readonly #onReturn = (lease: Lease): void => this.#returned(lease)
  #lease: Lease
  #isClosed = false
  /** The exchange under way: there is one at a time, so that all who need more share it. */
  #busy: Promise<void> | undefined
  /** How much more than is needed is asked for. */
  #spare = 0
  #grantedAt = -Infinity
  #usedAtGrant = 0
  #contactAt = -Infinity
  /** Fewer units than that: more are asked for before they are needed. */
  #refillBelow = 0
  /** What was left in the store, and unused with others, when it last said so. */
  #remaining: number
  #elsewhere = 0
  readonly #writtenOff = new WrittenOff()
  #isScarce = false
  /** What one request needs, lately. */
  #usual = 1
  /** The store had too little: from now on all is given back before all is asked for, so that two that hold a part each do not block one another. */
  #isStarved = false
  #pollAt = -Infinity
  #unpoll: (() => void) | undefined
  /** Demands of this size and above are refused without asking, until then. */
  #dryFrom = Infinity
  #dryUntil = -Infinity
  #dryPause = firstDryPause
  /** What others held when waiting for it was in vain: it may be a dead process's. */
  #inVain = -1
  /** Something came back while an exchange was under way. */
  #hasSurplus = false
  /** Sweeps since something was last used. */
  #unused = 0

  constructor(counter: Counter, around: Surroundings) {
    const { id, unit, label, period, limit } = counter
    this.id = id
    this.unit = unit
    this.label = label
    this.period = period
    this.limit = limit
    this.#around = around
    this.#queue = new Queue(around.queue)
    this.#remaining = limit
    this.#lease = new Lease(windowAt(period, around.clock.now()), this.#onReturn)
  }

  draw(amount: number, now: number): Lease | undefined {
    this.isFresh = true
    const lease = this.#current(now)
    if (lease.units < amount) return undefined
    lease.take(amount)
    if (lease.units < this.#refillBelow) this.#prefetch(amount)
    return lease
  }

  acquire(amount: number, deadline: number): Promise<Outcome> {
    const { queue, link } = this.#around
    if (this.#isClosed || queue.isFull) return Promise.resolve({ error: new Error('too many requests wait for the quota store') })
    if (this.isShort(amount)) return Promise.resolve({ refused: true })
    this.#usual = amount
    const outcome = this.#queue.add(amount, deadline)
    if (link.store.shared) this.#watch()
    if (!this.#busy) this.#pump()
    return outcome
  }

  warm(amount: number, now: number): void {
    if (this.#busy || this.#queue.length > 0 || this.isShort(amount)) return
    if (this.#current(now).units < amount) this.#prefetch(amount)
  }

  isShort(amount: number): boolean {
    if (amount > this.limit) return true
    const { clock } = this.#around
    if (this.#current(clock.now()).units >= amount) return false
    return amount >= this.#dryFrom && clock.monotonic() < this.#dryUntil
  }

  retryAfter(amount: number): number {
    const lease = this.#lease
    const toEnd = Math.max(lease.window.end - this.#around.clock.now(), 1)
    const elsewhere = this.#elsewhere - this.#writtenOff.units
    const mayCome = lease.units + Math.max(this.#remaining, 0) + lease.running + elsewhere
    return amount <= this.limit && mayCome >= amount ? Math.min(toEnd, soon) : toEnd
  }

  standing(): Standing {
    this.isFresh = true
    const now = this.#around.clock.now()
    const { window, units, owed } = this.#lease
    if (!isWithin(window, now)) return { limit: this.limit, remaining: this.limit, reset: windowAt(this.period, now).end - now }
    const remaining = Math.min(Math.max(this.#remaining + units - owed, 0), this.limit)
    return { limit: this.limit, remaining, reset: window.end - now }
  }

  /** Takes over a limit that the configuration has changed. */
  update({ limit, period }: Counter): void {
    if (limit === this.limit && period === this.period) return
    const rise = limit - this.limit
    this.limit = limit
    this.#dryFrom = Infinity
    if (period !== this.period) {
      this.period = period
      this.#roll(this.#around.clock.now())
    } else {
      this.#remaining += rise
      if (rise < 0 && !this.#around.link.store.shared) this.#lease.units = Math.max(this.#lease.units + rise, 0)
    }
  }

  sweep(): boolean {
    const { clock, link } = this.#around
    const lease = this.#current(clock.now())
    const { drawn, units } = lease
    lease.drawn = 0
    this.#unused = drawn === 0 ? this.#unused + 1 : 0
    if (this.#queue.length > 0) return true
    if (!link.store.shared && this.#unused < idleSweeps) return lease.units > 0
    if (units > 4 * drawn) this.#giveBack(units - 2 * drawn)
    else if (lease.owed > 0 || drawn === 0 || clock.monotonic() - this.#contactAt > long) this.#contact({})
    return lease.units > 0 || lease.reported !== 0 || lease.owed > 0 || this.#busy !== undefined
  }

  isIdle(now: number): boolean {
    if (this.#busy || this.#queue.length > 0) return false
    const { window, units, running, owed, reported } = this.#lease
    return !isWithin(window, now) || (units === 0 && running === 0 && owed === 0 && reported === 0)
  }

  async close(error: unknown): Promise<void> {
    this.#isClosed = true
    this.#unpoll?.()
    this.#queue.settle(() => ({ error }))
    await this.#busy
    const { units, owed, reported } = this.#lease
    // Units that the store takes for held here would let others wait for what nobody gives back.
    if (units === 0 && owed === 0 && reported === 0) return
    this.#contact({ back: units }, true)
    await this.#busy
  }

  #current(now: number): Lease {
    return isWithin(this.#lease.window, now) ? this.#lease : this.#roll(now)
  }

  #roll(now: number): Lease {
    this.#remaining = this.limit
    this.#elsewhere = 0
    this.#writtenOff.clear()
    this.#isScarce = false
    this.#refillBelow = 0
    this.#usedAtGrant = 0
    this.#dryFrom = Infinity
    this.#dryPause = firstDryPause
    this.#inVain = -1
    this.#isStarved = false
    this.#pollAt = -Infinity
    this.#lease = new Lease(windowAt(this.period, now), this.#onReturn)
    return this.#lease
  }

  /** Serves who waits from what is there, and asks for more when that is not enough. */
  #pump(): void {
    const { clock, link } = this.#around
    const lease = this.#current(clock.now())
    this.#queue.settle(
      ({ amount }) => (lease.units >= amount ? lease.take(amount) : undefined),
      () => lease.units > 0,
    )
    const first = this.#queue.first
    if (!first) {
      this.#isStarved = false
      return
    }
    if (this.#busy) return
    if (!link.isOpen) return this.#fail(link.error)
    if (clock.monotonic() < this.#pollAt) return
    if (this.#isStarved) this.#contact({ back: lease.units, atLeast: this.#queue.smallest, wanted: this.#queue.total })
    else {
      const wanted = this.#queue.total - lease.units + this.#nextSpare(first.amount)
      this.#contact({ atLeast: first.amount - lease.units, wanted: link.store.shared ? wanted : this.limit })
    }
  }

  #prefetch(amount: number): void {
    if (this.#busy) return
    this.#refillBelow = 0
    this.#contact({ wanted: this.#around.link.store.shared ? this.#nextSpare(amount) : this.limit })
  }

  #giveBack(units: number): void {
    this.#refillBelow = 0
    this.#spare = Math.floor(this.#spare / 2)
    this.#contact({ back: units })
  }

  #nextSpare(amount: number): number {
    const lasted = Math.max(this.#around.clock.monotonic() - this.#grantedAt, 1)
    const least = firstSpare * Math.max(amount, 1)
    const factor = lasted < short ? 2 : lasted > long ? 0.5 : 1
    // What would be used up in `short` at the pace since the last grant; a few requests are no pace yet.
    const used = this.#lease.used - this.#usedAtGrant
    const atThisPace = Math.min((used * short) / lasted, used * largestGrowth)
    this.#spare = Math.min(Math.floor(Math.max(this.#spare * factor, atThisPace, least)), this.limit)
    return this.#spare
  }

  /** One exchange with the store, unless one is under way. */
  #contact(ask: Partial<Pick<Exchange, 'back' | 'atLeast' | 'wanted'>>, isLast = false): void {
    const { clock, link } = this.#around
    if (this.#busy || (this.#isClosed && !isLast) || !link.isOpen) return
    const lease = this.#lease
    const { back = 0, atLeast = 0, wanted = 0 } = ask
    const owed = lease.owed
    const leased = lease.units - back - lease.reported
    if (back === 0 && wanted === 0 && owed === 0 && leased === 0 && lease.units === 0) return
    this.#hasSurplus = false
    lease.units -= back
    lease.owed = 0
    lease.reported = lease.units
    this.#contactAt = clock.monotonic()
    const { id: counter, limit } = this
    const request: Exchange = { counter, window: lease.window, limit, back, owed, atLeast, wanted, leased }
    this.#busy = this.#exchange(lease, request)
  }

  async #exchange(lease: Lease, request: Exchange): Promise<void> {
    const { link } = this.#around
    let answer: ExchangeAnswer
    try {
      answer = await link.call(
        // Units are given back once at most: the first try may have done it.
        (attempt) => link.store.exchange(attempt === 1 ? request : { ...request, back: 0 }),
        (late) => this.#late(lease, late),
      )
    } catch (error) {
      lease.owed += request.owed
      // Most likely it never got there. It is a hint: where it did, somebody waits in vain, or not at all.
      lease.reported -= request.leased
      this.#busy = undefined
      this.#fail(error)
      return this.#keepSwept(lease)
    }
    this.#busy = undefined
    this.#answered(lease, request, answer)
    this.#keepSwept(lease)
  }

  #answered(lease: Lease, { atLeast }: Exchange, answer: ExchangeAnswer): void {
    const { clock, link } = this.#around
    lease.units += answer.taken
    lease.reported += answer.taken
    if (lease === this.#current(clock.now())) {
      this.#remaining = answer.remaining
      this.#elsewhere = Math.max(answer.leased - lease.reported, 0)
      this.#writtenOff.see(this.#elsewhere, clock.monotonic(), answer.taken === 0 && atLeast > 0)
      this.#isScarce = answer.wanted || answer.remaining < processesAtEnd * this.#usual
      if (answer.taken > 0) {
        this.#grantedAt = clock.monotonic()
        this.#usedAtGrant = lease.used
        this.#dryFrom = Infinity
        this.#dryPause = firstDryPause
        this.#inVain = -1
      } else if (atLeast > 0) this.#refused(lease)
    }
    this.#pump()
    if (lease !== this.#lease) return
    if (answer.taken > 0) this.#refillBelow = this.#isScarce ? 0 : Math.floor(lease.units / 4)
    if (this.#queue.length > 0) return
    const isMissed = answer.wanted || (this.#isScarce && this.#hasSurplus)
    if (link.store.shared && (isMissed || lease.owed > 0)) this.#contact({ back: isMissed ? lease.units : 0 })
  }

  /** The store had too little for one of those who wait: who may still hope goes on waiting. */
  #refused(lease: Lease): void {
    const { clock } = this.#around
    const now = clock.monotonic()
    const atHand = lease.units + Math.max(this.#remaining, 0)
    const mayCome = this.#elsewhere > 0 && this.#elsewhere !== this.#inVain
    const waiting = this.#queue.length
    this.#isStarved = true
    this.#queue.settle(({ amount, deadline }) => {
      if (deadline > now && (amount <= atHand || mayCome)) return undefined
      if (mayCome) this.#inVain = this.#elsewhere
      if (!(this.#dryUntil > now)) this.#dryFrom = Infinity
      this.#dryFrom = Math.min(this.#dryFrom, amount)
      this.#dryUntil = now + this.#dryPause
      return { refused: true }
    })
    if (this.#queue.length < waiting) this.#dryPause = Math.min(this.#dryPause * 2, longestDryPause)
    if (this.#queue.length > 0 && this.#queue.smallest > atHand) this.#poll(pollPause)
  }

  #poll(pause: number): void {
    const { clock } = this.#around
    this.#unpoll?.()
    this.#pollAt = clock.monotonic() + pause
    this.#unpoll = clock.after(pause, () => {
      this.#pollAt = -Infinity
      this.#pump()
    })
  }

  #returned(lease: Lease): void {
    if (lease !== this.#lease) return
    this.#dryFrom = Infinity
    const isMissed = this.#isScarce && this.#around.link.store.shared
    if (this.#queue.length > 0) this.#pump()
    else if (this.#busy) this.#hasSurplus = true
    else if (isMissed || lease.owed > 0) this.#contact({ back: isMissed ? lease.units : 0 })
    this.#keepSwept(lease)
  }

  /** An answer that nobody waited for any more: what it brings is used if it still can be. */
  #late(lease: Lease, { taken }: ExchangeAnswer): void {
    if (taken === 0 || lease !== this.#lease) return
    lease.units += taken
    lease.reported += taken
    this.#watch()
    this.#pump()
  }

  #fail(error: unknown): void {
    this.#queue.settle(() => ({ error }))
  }

  #keepSwept(lease: Lease): void {
    if (lease === this.#lease && (lease.units > 0 || lease.reported !== 0 || lease.owed > 0)) this.#watch()
  }

  #watch(): void {
    if (!this.isSwept) this.#around.watch(this)
  }
}
