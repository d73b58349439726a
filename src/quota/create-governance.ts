import { holds, parseCondition } from '../access/conditions.ts'
import type { Call, Principal } from '../call.ts'
import type { ApiError } from '../errors.ts'
import { defaultMaxTokens, type QuotaConfig } from './config.ts'
import type { Counter, Demand, Limiter, Refusal, Reservation, Standing } from './counters.ts'
import { type EstimateOptions, mostTokens, namesNoMost, writesText } from './estimate.ts'
import { pushTightest } from './governance-headers.ts'
import { compileLimits } from './governance-limits.ts'
import { type Plan, Plans, type RequestPlan, type TargetPlan } from './governance-plan.ts'
import { refused, unpriced } from './governance-refusal.ts'
import { demandsOf, type Held, Running } from './governance-running.ts'
import type { Admitted, Governance, InferenceFacts, Settle } from './governance.ts'
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
    this.#plans = new Plans(compileLimits(config, allHold), {
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

  admitRequest(call: Call, headers: string[]): Settle | undefined | Promise<Settle | undefined> {
    const plan = this.#plans.of(call.principal).request(call)
    if (!plan) return undefined
    const reserved = this.#limiter.reserve(plan.demands, call)
    if (reserved instanceof Promise) return reserved.then((answer) => this.#requestAdmitted(answer, plan, headers))
    return this.#requestAdmitted(reserved, plan, headers)
  }

  admitInference(facts: InferenceFacts, headers: string[] | undefined): Admitted | undefined | Promise<Admitted | undefined> {
    const plan = this.#plans.of(facts.call.principal)
    const target = plan.target(facts.call, facts)
    const isCounted = target !== undefined && target.counters.length > 0
    if (!isCounted && !this.#ledger) return undefined
    const inference = { facts, plan, target: isCounted ? target : undefined, headers }
    if (!this.#ledger && !target?.hasDollars) return this.#reserve(inference, undefined)
    const price = this.#prices.find(facts)
    if (price instanceof Promise) return price.then((found) => this.#reserve(inference, found))
    return this.#reserve(inference, price)
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

  #requestAdmitted(answer: Reservation | Refusal, plan: RequestPlan, headers: string[]): Settle {
    pushTightest(headers, 'requests', plan.requests, this.#limiter)
    if ('refused' in answer) throw this.#refused(answer, plan.demands)
    return (taken = true) => answer.settle(taken ? plan.all : plan.none)
  }

  #reserve(inference: Inference, found: Price | undefined): Admitted | Promise<Admitted> {
    const { facts, target } = inference
    if (!target) return this.#run(inference, found)
    const most = mostTokens(facts, this.#estimates)
    const rates = found?.rates
    if (target.hasDollars && !rates && this.#refusesUnpriced) {
      const inDollars = target.counters.find(({ unit }) => unit === 'nano_dollars') as Counter
      throw unpriced(facts.model, inDollars.label)
    }
    // Whose price is not known, and may pass, passes as long as the budget is not used up.
    const demands = demandsOf(target, most, rates ? mostOf(rates, most) : 1)
    const reserved = this.#limiter.reserve(demands, facts.call)
    if (reserved instanceof Promise) return reserved.then((answer) => this.#admitted(inference, { answer, demands, price: found }))
    return this.#admitted(inference, { answer: reserved, demands, price: found })
  }

  #admitted(inference: Inference, { answer, demands, price }: Reserved): Admitted {
    const { target, facts } = inference
    const headers = inference.headers ?? []
    if (target) {
      pushTightest(headers, 'requests', target.requests, this.#limiter)
      pushTightest(headers, 'tokens', target.tokens, this.#limiter)
    }
    if ('refused' in answer) throw this.#refused(answer, demands, facts)
    return this.#run(inference, price, { reservation: answer, demands })
  }

  #refused(refusal: Refusal, demands: readonly Demand[], facts?: InferenceFacts): ApiError {
    const { reset } = this.#limiter.standing(refusal.refused)
    const wishes = facts && { namesNoMost: namesNoMost(facts), writes: writesText(facts.capability) }
    return refused(refusal, { demands, reset, now: this.#now(), ...wishes })
  }

  #run({ facts, plan }: Inference, price: Price | undefined, held?: Held): Admitted {
    return new Running({ facts, plan, price, held, ledger: this.#ledger })
  }
}

interface Inference {
  readonly facts: InferenceFacts
  readonly plan: Plan
  /** Absent: only the ledger wants to know. */
  readonly target: TargetPlan | undefined
  readonly headers: string[] | undefined
}

interface Reserved {
  readonly answer: Reservation | Refusal
  readonly demands: readonly Demand[]
  readonly price: Price | undefined
}

/** All conditions of a limit; somebody who is nobody has no attributes. */
function allHold(conditions: readonly string[]): (principal: Principal | undefined) => boolean {
  const parsed = conditions.map(parseCondition)
  return (principal) => parsed.every((condition) => holds(condition, principal ?? nobody, undefined))
}

const nobody: Pick<Principal, 'id' | 'attributes'> = { id: '', attributes: {} }
