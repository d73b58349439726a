import { allHold, parseCondition } from '../access/conditions.ts'
import type { Call, Principal } from '../call.ts'
import type { ApiError } from '../errors.ts'
import { defaultMaxTokens, type QuotaConfig } from './config.ts'
import type { Counter, Demand, Limiter, QuotaRefusal, Reservation, CounterStatus } from './counters.ts'
import { type EstimateOptions, maxTokensOf, omitsMaxTokens } from './estimate.ts'
import { pushTightest } from './governance-headers.ts'
import { compileLimits } from './governance-limits.ts'
import { PlanCache, type RequestPlan } from './governance-plan.ts'
import { quotaExceeded, unknownPrice } from './governance-refusal.ts'
import { demandsOf, RunningInference } from './governance-running.ts'
import type { AdmittedInference, AdmittedRequest, Governance, InferenceFacts } from './governance.ts'
import type { Ledger } from './ledger.ts'
import { maxCostOf } from './prices-rates.ts'
import type { Price, Prices } from './prices.ts'

interface GovernanceOptions {
  config: QuotaConfig
  limiter: Limiter
  prices: Prices
  /** Absent: nothing is recorded. */
  ledger?: Ledger | undefined
  /** Unix milliseconds. */
  now?: () => number
}

/** Applies limits, prices and the ledger to requests. Disposing it disposes the ledger, then the limiter. */
export function createGovernance(options: GovernanceOptions): Governance {
  return new LimitingGovernance(options)
}

class LimitingGovernance implements Governance {
  readonly #limiter: Limiter
  readonly #prices: Prices
  readonly #ledger: Ledger | undefined
  readonly #plans: PlanCache
  readonly #estimates: EstimateOptions
  readonly #refusesUnpriced: boolean
  readonly #now: () => number

  constructor({ config, limiter, prices, ledger, now = Date.now }: GovernanceOptions) {
    this.#limiter = limiter
    this.#prices = prices
    this.#ledger = ledger
    this.#plans = new PlanCache(compileLimits(config, compileConditions), {
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

  admitInference(
    facts: InferenceFacts,
    headers: string[] | undefined,
  ): AdmittedInference | undefined | Promise<AdmittedInference | undefined> {
    const plan = this.#plans.of(facts.call.principal)
    const target = plan.target(facts.call, facts)
    const isCounted = target !== undefined && target.counters.length > 0
    if (!isCounted && !this.#ledger) return undefined
    const running = new RunningInference(facts, plan, isCounted ? target : undefined, this.#ledger)
    if (!this.#ledger && !target?.hasDollars) return this.#reserve(running, headers)
    const price = this.#prices.find(facts)
    if (price instanceof Promise) return this.#priceWaits(price, running, headers)
    running.price = price
    return this.#reserve(running, headers)
  }

  eachCounter(visit: (counter: Counter, status: CounterStatus) => void): void {
    this.#limiter.each?.(visit)
  }

  get lostEntries(): number | undefined {
    return this.#ledger?.lost
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ledger?.[Symbol.asyncDispose]()
    await this.#limiter[Symbol.asyncDispose]()
  }

  async #requestWaits(pending: Promise<Reservation | QuotaRefusal>, plan: RequestPlan, headers: string[]): Promise<AdmittedRequest> {
    return this.#requestAdmitted(await pending, plan, headers)
  }

  #requestAdmitted(result: Reservation | QuotaRefusal, plan: RequestPlan, headers: string[]): AdmittedRequest {
    pushTightest(headers, 'requests', plan.requests, this.#limiter)
    if ('refused' in result) throw this.#handleRefusal(result, plan.demands)
    return new CountedRequest(result, plan)
  }

  async #priceWaits(
    pending: Promise<Price | undefined>,
    running: RunningInference,
    headers: string[] | undefined,
  ): Promise<AdmittedInference> {
    running.price = await pending
    return this.#reserve(running, headers)
  }

  #reserve(running: RunningInference, headers: string[] | undefined): AdmittedInference | Promise<AdmittedInference> {
    const { facts, target } = running
    if (!target) return running
    const max = maxTokensOf(facts, this.#estimates)
    const rates = running.price?.rates
    if (target.hasDollars && !rates && this.#refusesUnpriced) {
      const dollarCounter = target.counters.find(({ unit }) => unit === 'nano_dollars') as Counter
      throw unknownPrice(facts.model, dollarCounter)
    }
    // An unpriced model that is allowed is admitted while the budget is not used up.
    running.demands = demandsOf(target, max, rates ? maxCostOf(rates, max) : 1)
    const reserved = this.#limiter.reserve(running.demands, facts.call)
    return reserved instanceof Promise ? this.#inferenceWaits(reserved, running, headers) : this.#admitted(reserved, running, headers)
  }

  async #inferenceWaits(
    pending: Promise<Reservation | QuotaRefusal>,
    running: RunningInference,
    headers: string[] | undefined,
  ): Promise<AdmittedInference> {
    return this.#admitted(await pending, running, headers)
  }

  #admitted(result: Reservation | QuotaRefusal, running: RunningInference, headers: string[] | undefined): AdmittedInference {
    const { target, demands, facts } = running
    if (target && headers) {
      pushTightest(headers, 'requests', target.requests, this.#limiter)
      pushTightest(headers, 'tokens', target.tokens, this.#limiter)
    }
    if ('refused' in result) throw this.#handleRefusal(result, demands, facts)
    running.reservation = result
    return running
  }

  #handleRefusal(refusal: QuotaRefusal, demands: readonly Demand[], facts?: InferenceFacts): ApiError {
    const { reset } = this.#limiter.status(refusal.refused)
    const tokenFacts = facts && {
      omitsMaxTokens: omitsMaxTokens(facts),
      limitField: facts.operation.producesText ? facts.format.outputLimitField : undefined,
    }
    return quotaExceeded(refusal, { demands, reset, now: this.#now(), ...tokenFacts })
  }
}

class CountedRequest implements AdmittedRequest {
  readonly #reservation: Reservation
  readonly #plan: RequestPlan

  constructor(held: Reservation, plan: RequestPlan) {
    this.#reservation = held
    this.#plan = plan
  }

  settle(taken: boolean): void {
    this.#reservation.settle(taken ? this.#plan.all : this.#plan.none)
  }
}

/** All conditions of a limit. Without a principal there are no attributes. */
function compileConditions(conditions: readonly string[]): (principal: Principal | undefined) => boolean {
  const parsed = conditions.map(parseCondition)
  return (principal) => allHold(parsed, principal ?? anonymous, undefined)
}

const anonymous: Pick<Principal, 'id' | 'attributes'> = { id: '', attributes: {} }
