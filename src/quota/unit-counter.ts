import type { Period } from '../call.ts'
import type { Counter, StoreExchange, StoreExchangeReply, CounterStatus } from './counters.ts'
import { type CounterState, UnitLease, type AcquireResult, DemandQueue, type LimiterContext } from './leases.ts'
import { AbandonedUnits } from './abandoned-units.ts'
import { isWithin, windowAt } from './windows.ts'

/** After a lease shorter than this many milliseconds the spare doubles, after one longer than `longLease` it halves. */
const shortLease = 200
const longLease = 1000
/** The next spare is at most so many times what was used of the last lease. */
const maxGrowth = 4
/** The spare of the first lease, in requests. */
const initialSpareRequests = 3
/** The counter is scarce if fewer units are left than so many processes need for one request each. */
const scarcityProcesses = 8
/** Milliseconds between two exchanges while other processes may return units. */
const pollInterval = 40
/** Milliseconds without an exchange after a refusal; doubled up to the maximum while nothing is returned. */
const initialExhaustedPause = 250
const maxExhaustedPause = 2000
/** Milliseconds of `Retry-After` where requests in flight may return units. */
const defaultRetryAfter = 1000
/** Sweeps without use after which a lease of an unshared store is returned. */
const maxIdleSweeps = 20

/** A counter of units in windows: the lease of this process, and the demands that wait for more. */
export class UnitCounter implements CounterState {
  readonly id: string
  readonly unit: Counter['unit']
  readonly label: string
  readonly limitName: string | undefined
  period: Period
  limit: number
  isRegistered = true
  isSwept = false
  isRecentlyUsed = true

  readonly #context: LimiterContext
  readonly #queue: DemandQueue
  readonly #onReturn = (lease: UnitLease): void => this.#handleSettlement(lease)
  #lease: UnitLease
  #isClosed = false
  /** The current exchange. There is one at a time, which all waiting demands share. */
  #busy: Promise<void> | undefined
  /** Units requested beyond those that are needed. */
  #spare = 0
  #grantedAt = -Infinity
  #usedAtGrant = 0
  #contactAt = -Infinity
  /** Below so many free units the next lease is requested in advance. */
  #refillBelow = 0
  /** What the store had left, and other processes held unused, at the last exchange. */
  #remaining: number
  #remoteUnits = 0
  readonly #abandoned = new AbandonedUnits()
  #isScarce = false
  /** The amount of a recent demand. */
  #recentAmount = 1
  /** The store had too little: everything is returned before everything is requested, so that two processes with a part each do not block one another. */
  #isContended = false
  #pollAt = -Infinity
  #cancelPoll: (() => void) | undefined
  /** Demands of this size and above are refused without an exchange until `#exhaustedUntil`. */
  #exhaustedAbove = Infinity
  #exhaustedUntil = -Infinity
  #exhaustedPause = initialExhaustedPause
  /** What other processes held when a wait for it timed out: it may belong to a dead process. */
  #unclaimedRemote = -1
  /** Units returned during an exchange. */
  #hasSurplus = false
  /** Sweeps since the last use. */
  #idleSweepCount = 0

  constructor(counter: Counter, context: LimiterContext) {
    const { id, unit, label, limitName, period, limit } = counter
    this.id = id
    this.unit = unit
    this.label = label
    this.limitName = limitName
    this.period = period
    this.limit = limit
    this.#context = context
    this.#queue = new DemandQueue(context.waiterLimit)
    this.#remaining = limit
    this.#lease = new UnitLease(windowAt(period, context.clock.now()), this.#onReturn)
  }

  tryTake(amount: number, now: number): UnitLease | undefined {
    this.isRecentlyUsed = true
    const lease = this.#current(now)
    if (lease.units < amount) return undefined
    lease.take(amount)
    if (lease.units < this.#refillBelow) this.#prefetch(amount)
    return lease
  }

  acquire(amount: number, deadline: number): Promise<AcquireResult> {
    const { waiterLimit, link } = this.#context
    if (this.#isClosed || waiterLimit.isFull) return Promise.resolve({ error: new Error('too many requests wait for the quota store') })
    if (this.isExhausted(amount)) return Promise.resolve({ refused: true })
    this.#recentAmount = amount
    const result = this.#queue.add(amount, deadline)
    if (link.store.shared) this.#watch()
    if (!this.#busy) this.#serveQueue()
    return result
  }

  prefetch(amount: number, now: number): void {
    if (this.#busy || this.#queue.length > 0 || this.isExhausted(amount)) return
    if (this.#current(now).units < amount) this.#prefetch(amount)
  }

  isExhausted(amount: number): boolean {
    if (amount > this.limit) return true
    const { clock } = this.#context
    if (this.#current(clock.now()).units >= amount) return false
    return amount >= this.#exhaustedAbove && clock.monotonic() < this.#exhaustedUntil
  }

  retryAfter(amount: number): number {
    const lease = this.#lease
    const untilWindowEnd = Math.max(lease.window.end - this.#context.clock.now(), 1)
    const remoteUnits = this.#remoteUnits - this.#abandoned.units
    const mayBecomeAvailable = lease.units + Math.max(this.#remaining, 0) + lease.running + remoteUnits
    return amount <= this.limit && mayBecomeAvailable >= amount ? Math.min(untilWindowEnd, defaultRetryAfter) : untilWindowEnd
  }

  status(): CounterStatus {
    this.isRecentlyUsed = true
    const now = this.#context.clock.now()
    const { window, units, owed } = this.#lease
    if (!isWithin(window, now)) return { limit: this.limit, remaining: this.limit, reset: windowAt(this.period, now).end - now }
    const remaining = Math.min(Math.max(this.#remaining + units - owed, 0), this.limit)
    return { limit: this.limit, remaining, reset: window.end - now }
  }

  /** Applies a changed limit. */
  update({ limit, period }: Counter): void {
    if (limit === this.limit && period === this.period) return
    const rise = limit - this.limit
    this.limit = limit
    this.#exhaustedAbove = Infinity
    if (period !== this.period) {
      this.period = period
      this.#roll(this.#context.clock.now())
    } else {
      this.#remaining += rise
      if (rise < 0 && !this.#context.link.store.shared) this.#lease.units = Math.max(this.#lease.units + rise, 0)
    }
  }

  sweep(): boolean {
    const { clock, link } = this.#context
    const lease = this.#current(clock.now())
    const { takenSinceSweep: drawn, units } = lease
    lease.takenSinceSweep = 0
    this.#idleSweepCount = drawn === 0 ? this.#idleSweepCount + 1 : 0
    if (this.#queue.length > 0) return true
    if (!link.store.shared && this.#idleSweepCount < maxIdleSweeps) return lease.units > 0
    if (units > 4 * drawn) this.#returnUnits(units - 2 * drawn)
    else if (lease.owed > 0 || drawn === 0 || clock.monotonic() - this.#contactAt > longLease) this.#startExchange({})
    return lease.units > 0 || lease.reported !== 0 || lease.owed > 0 || this.#busy !== undefined
  }

  isIdle(now: number): boolean {
    if (this.#busy || this.#queue.length > 0) return false
    const { window, units, running, owed, reported } = this.#lease
    return !isWithin(window, now) || (units === 0 && running === 0 && owed === 0 && reported === 0)
  }

  async close(error: unknown): Promise<void> {
    this.#isClosed = true
    this.#cancelPoll?.()
    this.#queue.settle(() => ({ error }))
    await this.#busy
    const { units, owed, reported } = this.#lease
    // Units that the store counts as held here would make other processes wait for them.
    if (units === 0 && owed === 0 && reported === 0) return
    this.#startExchange({ returned: units }, true)
    await this.#busy
  }

  #current(now: number): UnitLease {
    return isWithin(this.#lease.window, now) ? this.#lease : this.#roll(now)
  }

  #roll(now: number): UnitLease {
    this.#remaining = this.limit
    this.#remoteUnits = 0
    this.#abandoned.clear()
    this.#isScarce = false
    this.#refillBelow = 0
    this.#usedAtGrant = 0
    this.#exhaustedAbove = Infinity
    this.#exhaustedPause = initialExhaustedPause
    this.#unclaimedRemote = -1
    this.#isContended = false
    this.#pollAt = -Infinity
    this.#lease = new UnitLease(windowAt(this.period, now), this.#onReturn)
    return this.#lease
  }

  /** Serves waiting demands from the lease, and starts an exchange if it does not suffice. */
  #serveQueue(): void {
    const { clock, link } = this.#context
    const lease = this.#current(clock.now())
    this.#queue.settle(
      ({ amount }) => (lease.units >= amount ? lease.take(amount) : undefined),
      () => lease.units > 0,
    )
    const first = this.#queue.first
    if (!first) {
      this.#isContended = false
      return
    }
    if (this.#busy) return
    if (!link.isOpen) return this.#fail(link.error)
    if (clock.monotonic() < this.#pollAt) return
    if (this.#isContended) this.#startExchange({ returned: lease.units, atLeast: this.#queue.smallest, wanted: this.#queue.total })
    else {
      const wanted = this.#queue.total - lease.units + this.#nextSpare(first.amount)
      this.#startExchange({ atLeast: first.amount - lease.units, wanted: link.store.shared ? wanted : this.limit })
    }
  }

  #prefetch(amount: number): void {
    if (this.#busy) return
    this.#refillBelow = 0
    this.#startExchange({ wanted: this.#context.link.store.shared ? this.#nextSpare(amount) : this.limit })
  }

  #returnUnits(units: number): void {
    this.#refillBelow = 0
    this.#spare = Math.floor(this.#spare / 2)
    this.#startExchange({ returned: units })
  }

  #nextSpare(amount: number): number {
    const leaseDuration = Math.max(this.#context.clock.monotonic() - this.#grantedAt, 1)
    const minSpare = initialSpareRequests * Math.max(amount, 1)
    const factor = leaseDuration < shortLease ? 2 : leaseDuration > longLease ? 0.5 : 1
    // The use in `shortLease` at the rate since the last grant; limited, as a few requests do not give a rate yet.
    const used = this.#lease.used - this.#usedAtGrant
    const forCurrentRate = Math.min((used * shortLease) / leaseDuration, used * maxGrowth)
    this.#spare = Math.min(Math.floor(Math.max(this.#spare * factor, forCurrentRate, minSpare)), this.limit)
    return this.#spare
  }

  /** Starts an exchange with the store, unless there is one. */
  #startExchange(terms: Partial<Pick<StoreExchange, 'returned' | 'atLeast' | 'wanted'>>, isLast = false): void {
    const { clock, link } = this.#context
    if (this.#busy || (this.#isClosed && !isLast) || !link.isOpen) return
    const lease = this.#lease
    const { returned = 0, atLeast = 0, wanted = 0 } = terms
    const owed = lease.owed
    const leased = lease.units - returned - lease.reported
    if (returned === 0 && wanted === 0 && owed === 0 && leased === 0 && lease.units === 0) return
    this.#hasSurplus = false
    lease.units -= returned
    lease.owed = 0
    lease.reported = lease.units
    this.#contactAt = clock.monotonic()
    const { id: counter, limit } = this
    const request: StoreExchange = { counter, window: lease.window, limit, returned, owed, atLeast, wanted, leased }
    this.#busy = this.#exchange(lease, request)
  }

  async #exchange(lease: UnitLease, request: StoreExchange): Promise<void> {
    const { link } = this.#context
    let reply: StoreExchangeReply
    try {
      reply = await link.call(
        // Units are given back once at most: the first try may have done it.
        (attempt) => link.store.exchange(attempt === 1 ? request : { ...request, returned: 0 }),
        (lateReply) => this.#handleLateReply(lease, lateReply),
      )
    } catch (error) {
      lease.owed += request.owed
      // Most likely it never arrived. It is only a hint: if it did arrive, a caller waits needlessly at worst.
      lease.reported -= request.leased
      this.#busy = undefined
      this.#fail(error)
      return this.#watchIfHolding(lease)
    }
    this.#busy = undefined
    this.#handleReply(lease, request, reply)
    this.#watchIfHolding(lease)
  }

  #handleReply(lease: UnitLease, { atLeast }: StoreExchange, reply: StoreExchangeReply): void {
    const { clock, link } = this.#context
    lease.units += reply.taken
    lease.reported += reply.taken
    if (lease === this.#current(clock.now())) {
      this.#remaining = reply.remaining
      this.#remoteUnits = Math.max(reply.leased - lease.reported, 0)
      this.#abandoned.observe(this.#remoteUnits, clock.monotonic(), reply.taken === 0 && atLeast > 0)
      this.#isScarce = reply.contended || reply.remaining < scarcityProcesses * this.#recentAmount
      if (reply.taken > 0) {
        this.#grantedAt = clock.monotonic()
        this.#usedAtGrant = lease.used
        this.#exhaustedAbove = Infinity
        this.#exhaustedPause = initialExhaustedPause
        this.#unclaimedRemote = -1
      } else if (atLeast > 0) this.#handleRefusal(lease)
    }
    this.#serveQueue()
    if (lease !== this.#lease) return
    if (reply.taken > 0) this.#refillBelow = this.#isScarce ? 0 : Math.floor(lease.units / 4)
    if (this.#queue.length > 0) return
    const isNeededElsewhere = reply.contended || (this.#isScarce && this.#hasSurplus)
    if (link.store.shared && (isNeededElsewhere || lease.owed > 0)) this.#startExchange({ returned: isNeededElsewhere ? lease.units : 0 })
  }

  /** The store had too little. Demands whose units may still be returned continue to wait. */
  #handleRefusal(lease: UnitLease): void {
    const { clock } = this.#context
    const now = clock.monotonic()
    const available = lease.units + Math.max(this.#remaining, 0)
    const mayBecomeAvailable = this.#remoteUnits > 0 && this.#remoteUnits !== this.#unclaimedRemote
    const waiting = this.#queue.length
    this.#isContended = true
    this.#queue.settle(({ amount, deadline }) => {
      if (deadline > now && (amount <= available || mayBecomeAvailable)) return undefined
      if (mayBecomeAvailable) this.#unclaimedRemote = this.#remoteUnits
      if (!(this.#exhaustedUntil > now)) this.#exhaustedAbove = Infinity
      this.#exhaustedAbove = Math.min(this.#exhaustedAbove, amount)
      this.#exhaustedUntil = now + this.#exhaustedPause
      return { refused: true }
    })
    if (this.#queue.length < waiting) this.#exhaustedPause = Math.min(this.#exhaustedPause * 2, maxExhaustedPause)
    if (this.#queue.length > 0 && this.#queue.smallest > available) this.#poll(pollInterval)
  }

  #poll(pause: number): void {
    const { clock } = this.#context
    this.#cancelPoll?.()
    this.#pollAt = clock.monotonic() + pause
    this.#cancelPoll = clock.after(pause, () => {
      this.#pollAt = -Infinity
      this.#serveQueue()
    })
  }

  #handleSettlement(lease: UnitLease): void {
    if (lease !== this.#lease) return
    this.#exhaustedAbove = Infinity
    const isNeededElsewhere = this.#isScarce && this.#context.link.store.shared
    if (this.#queue.length > 0) this.#serveQueue()
    else if (this.#busy) this.#hasSurplus = true
    else if (isNeededElsewhere || lease.owed > 0) this.#startExchange({ returned: isNeededElsewhere ? lease.units : 0 })
    this.#watchIfHolding(lease)
  }

  /** A reply after its timeout: its units are used if the window is still the same. */
  #handleLateReply(lease: UnitLease, { taken }: StoreExchangeReply): void {
    if (taken === 0 || lease !== this.#lease) return
    lease.units += taken
    lease.reported += taken
    this.#watch()
    this.#serveQueue()
  }

  #fail(error: unknown): void {
    this.#queue.settle(() => ({ error }))
  }

  #watchIfHolding(lease: UnitLease): void {
    if (lease === this.#lease && (lease.units > 0 || lease.reported !== 0 || lease.owed > 0)) this.#watch()
  }

  #watch(): void {
    if (!this.isSwept) this.#context.watch(this)
  }
}
