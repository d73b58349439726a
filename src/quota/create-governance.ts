import { allHold, parseCondition } from '../access/conditions.ts'
import type { Call, Principal } from '../call.ts'
import type { ApiError } from '../errors.ts'
import { defaultMaxTokens, type QuotaConfig } from './config.ts'
import type { Counter, Demand, Limiter, Refusal, Reservation, Standing } from './counters.ts'
import { type EstimateOptions, mostTokens, namesNoMost, writesText } from './estimate.ts'
import { pushTightest } from './governance-headers.ts'
import { compileLimits } from './governance-limits.ts'
import { Plans, type RequestPlan } from './governance-plan.ts'
import { refused, unpriced } from './governance-refusal.ts'
import { demandsOf, Running } from './governance-running.ts'
import type { Admitted, AdmittedRequest, Governance, InferenceFacts } from './governance.ts'
import type { Ledger } from './ledger.ts'
import { mostOf } from './prices-rates.ts'
import type { Price, Prices } from './prices.ts'

export interface GovernanceOptions {
  config: QuotaConfig
  limiter: Limiter
  prices: Prices
  /** Absent: nothing is written down. */
  ledger?: Ledger | undefined
  /** Unix milliseconds. */
  now?: () => number
}

/** Puts limits, prices and the ledger around what callers ask for. Disposing it disposes the ledger, then the limiter. */
export function createGovernance(options: GovernanceOptions): Governance {
  return new Governing(options)
}

class Governing implements Governance {
  readonly #limiter: Limiter
  readonly #prices: Prices
  readonly #ledger: Ledger | undefined
  readonly #plans: Plans
  readonly #estimates: EstimateOptions
  readonly #refusesUnpriced: boolean
  readonly #now: () => number

  constructor({ config, limiter, prices, ledger, now = Date.now }: GovernanceOptions) {
    this.#limiter = limiter
    this.#prices = prices
    this.#ledger = ledger
    this.#plans = new Plans(compileLimits(config, compileConditions), {
      namespace: config.store?.namespace ?? '',
      handle: (counter) => limiter.counter(counter),
    })
    this.#estimates = {
      defaultMaxTokens: config.defaultMaxTokens ?? defaultMaxTokens,
      inputBytesPerToken: config.inputBytesPerToken ?? 1,
    }
    this.#refusesUnpriced = config.unpriced !== 'allow'
    this.#now = now
  }

  admitRequest(call: Call, headers: string[]): AdmittedRequest | undefined | Promise<AdmittedRequest | undefined> {
    const plan = this.#plans.of(call.principal).request(call)
    if (!plan) return undefined
    const reserved = this.#limiter.reserve(plan.demands, call)
    return reserved instanceof Promise ? this.#requestWaits(reserved, plan, headers) : this.#requestAdmitted(reserved, plan, headers)
  }

  admitInference(facts: InferenceFacts, headers: string[] | undefined): Admitted | undefined | Promise<Admitted | undefined> {
    const plan = this.#plans.of(facts.call.principal)
    const target = plan.target(facts.call, facts)
    const isCounted = target !== undefined && target.counters.length > 0
    if (!isCounted && !this.#ledger) return undefined
    const running = new Running(facts, plan, isCounted ? target : undefined, this.#ledger)
    if (!this.#ledger && !target?.hasDollars) return this.#reserve(running, headers)
    const price = this.#prices.find(facts)
    if (price instanceof Promise) return this.#priceWaits(price, running, headers)
    running.price = price
    return this.#reserve(running, headers)
  }

  eachCounter(visit: (counter: Counter, standing: Standing) => void): void {
    this.#limiter.each?.(visit)
  }

  get lostLines(): number | undefined {
    return this.#ledger?.lost
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ledger?.[Symbol.asyncDispose]()
    await this.#limiter[Symbol.asyncDispose]()
  }

  async #requestWaits(pending: Promise<Reservation | Refusal>, plan: RequestPlan, headers: string[]): Promise<AdmittedRequest> {
    return this.#requestAdmitted(await pending, plan, headers)
  }

  #requestAdmitted(answer: Reservation | Refusal, plan: RequestPlan, headers: string[]): AdmittedRequest {
    pushTightest(headers, 'requests', plan.requests, this.#limiter)
    if ('refused' in answer) throw this.#refused(answer, plan.demands)
    return new CountedRequest(answer, plan)
  }

  async #priceWaits(pending: Promise<Price | undefined>, running: Running, headers: string[] | undefined): Promise<Admitted> {
    running.price = await pending
    return this.#reserve(running, headers)
  }

  #reserve(running: Running, headers: string[] | undefined): Admitted | Promise<Admitted> {
    const { facts, target } = running
    if (!target) return running
    const most = mostTokens(facts, this.#estimates)
    const rates = running.price?.rates
    if (target.hasDollars && !rates && this.#refusesUnpriced) {
      const inDollars = target.counters.find(({ unit }) => unit === 'nano_dollars') as Counter
      throw unpriced(facts.model, inDollars.label)
    }
    // Whose price is not known, and may pass, passes as long as the budget is not used up.
    running.demands = demandsOf(target, most, rates ? mostOf(rates, most) : 1)
    const reserved = this.#limiter.reserve(running.demands, facts.call)
    return reserved instanceof Promise ? this.#inferenceWaits(reserved, running, headers) : this.#admitted(reserved, running, headers)
  }

  async #inferenceWaits(pending: Promise<Reservation | Refusal>, running: Running, headers: string[] | undefined): Promise<Admitted> {
    return this.#admitted(await pending, running, headers)
  }

  #admitted(answer: Reservation | Refusal, running: Running, headers: string[] | undefined): Admitted {
    const { target, demands, facts } = running
    if (target && headers) {
      pushTightest(headers, 'requests', target.requests, this.#limiter)
      pushTightest(headers, 'tokens', target.tokens, this.#limiter)
    }
    if ('refused' in answer) throw this.#refused(answer, demands, facts)
    running.held = answer
    return running
  }

  #refused(refusal: Refusal, demands: readonly Demand[], facts?: InferenceFacts): ApiError {
    const { reset } = this.#limiter.standing(refusal.refused)
    const wishes = facts && { namesNoMost: namesNoMost(facts), writes: writesText(facts.capability) }
    return refused(refusal, { demands, reset, now: this.#now(), ...wishes })
  }
}

class CountedRequest implements AdmittedRequest {
  readonly #held: Reservation
  readonly #plan: RequestPlan

  constructor(held: Reservation, plan: RequestPlan) {
    this.#held = held
    this.#plan = plan
  }

  settle(taken: boolean): void {
    this.#held.settle(taken ? this.#plan.all : this.#plan.none)
  }
}

/** All conditions of a limit; somebody who is nobody has no attributes. */
function compileConditions(conditions: readonly string[]): (principal: Principal | undefined) => boolean {
  const parsed = conditions.map(parseCondition)
  return (principal) => allHold(parsed, principal ?? nobody, undefined)
}

const nobody: Pick<Principal, 'id' | 'attributes'> = { id: '', attributes: {} }
