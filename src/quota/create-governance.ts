import { holds, parseCondition } from '../access/conditions.ts'
import type { Call, Principal } from '../call.ts'
import { defaultMaxTokens, type QuotaConfig } from './config.ts'
import type { Counter, Demand, Limiter, Refusal, Reservation } from './counters.ts'
import { type EstimateOptions, likelyInput, mostTokens, namesNoMost } from './estimate.ts'
import { pushTightest } from './governance-headers.ts'
import { compileLimits, type Unit } from './governance-limits.ts'
import { type Plan, Plans, type RequestPlan, type TargetPlan } from './governance-plan.ts'
import { refused, unpriced } from './governance-refusal.ts'
import type { Admitted, Governance, InferenceEnd, InferenceFacts, Settle, TokensUsed } from './governance.ts'
import type { Ledger } from './ledger.ts'
import { costOf, type MostTokens, mostOf } from './prices-rates.ts'
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
    const reserved = this.#limiter.reserve(plan.demands)
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ledger?.[Symbol.asyncDispose]()
    await this.#limiter[Symbol.asyncDispose]()
  }

  #requestAdmitted(answer: Reservation | Refusal, plan: RequestPlan, headers: string[]): Settle {
    pushTightest(headers, 'requests', plan.requests, this.#limiter)
    if ('refused' in answer) throw refused(answer, { demands: plan.demands, now: this.#now() })
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
    const demands = demandsOf(target, most, rates ? mostOf(rates, most) : 0)
    if (demands.length === 0) return this.#run(inference, found)
    const reserved = this.#limiter.reserve(demands)
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
    if ('refused' in answer) throw refused(answer, { demands, now: this.#now(), namesNoMost: namesNoMost(facts) })
    return this.#run(inference, price, { reservation: answer, demands })
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

interface Held {
  readonly reservation: Reservation
  readonly demands: readonly Demand[]
}

/** All conditions of a limit; somebody who is nobody has no attributes. */
function allHold(conditions: readonly string[]): (principal: Principal | undefined) => boolean {
  const parsed = conditions.map(parseCondition)
  return (principal) => parsed.every((condition) => holds(condition, principal ?? nobody, undefined))
}

const nobody: Pick<Principal, 'id' | 'attributes'> = { id: '', attributes: {} }

/** What takes nothing at worst is not asked for: what costs nothing runs on when the budget is used up. */
function demandsOf({ counters }: TargetPlan, most: MostTokens, cost: number): Demand[] {
  const demands: Demand[] = []
  for (const counter of counters) {
    const amount = unitsOf(counter.unit, most, cost)
    if (amount > 0) demands.push({ counter, amount })
  }
  return demands
}

function unitsOf(unit: Unit, { input, output }: MostTokens, cost: number): number {
  switch (unit) {
    case 'requests':
    case 'slots':
      return 1
    case 'input_tokens':
      return input
    case 'output_tokens':
      return output
    case 'total_tokens':
      return input + output
    default:
      return cost
  }
}

interface RunningOptions {
  readonly facts: InferenceFacts
  readonly plan: Plan
  readonly price: Price | undefined
  /** Absent: nothing is held. */
  readonly held: Held | undefined
  readonly ledger: Ledger | undefined
}

/** One answer on its way. */
class Running implements Admitted {
  readonly #options: RunningOptions
  #settled = false

  constructor(options: RunningOptions) {
    this.#options = options
  }

  settle(end: InferenceEnd): void {
    if (this.#settled) return
    this.#settled = true
    const { facts, price, held, ledger } = this.#options
    const used = usedOf(end, facts)
    const cost = used ? costOfUse(price, used) : 0
    if (held) held.reservation.settle(held.demands.map(({ counter }) => settledUnits(counter.unit, used, cost ?? 0)))
    if (!used) return
    const { notes } = facts.call
    if (notes) {
      notes.inputTokens = used.input
      notes.outputTokens = used.output
      if (cost !== undefined) notes.costNanoDollars = cost
    }
    if (ledger) ledger.record(entryOf(this.#options, used, { cost, outcome: end.outcome }))
  }
}

function settledUnits(unit: Unit, used: TokensUsed | undefined, cost: number): number {
  return used ? unitsOf(unit, used, cost) : 0
}

/** Undefined: no price is known. */
function costOfUse(price: Price | undefined, used: TokensUsed): number | undefined {
  if (!price) return undefined
  const { reportedDollars } = used
  if (price.reported && reportedDollars !== undefined) return Math.min(Math.ceil(reportedDollars * 1e9), Number.MAX_SAFE_INTEGER)
  return price.rates && costOf(price.rates, used)
}

/**
 * What an answer took. Where the provider says it, that; but never less than what came of an answer that did not end. Where it says nothing,
 * what came is counted and the input is estimated. Undefined: nothing, because it failed before anything came.
 */
function usedOf({ outcome, usage, came = 0 }: InferenceEnd, facts: InferenceFacts): TokensUsed | undefined {
  if (usage) {
    const whole = { ...usage, input: whole0(usage.input), output: whole0(usage.output) }
    return outcome !== 'completed' && came > whole.output ? { ...whole, output: came, estimated: true } : whole
  }
  if (came === 0 && (outcome === 'failed' || outcome === 'truncated')) return undefined
  return { input: likelyInput(facts), output: came, estimated: true }
}

function whole0(tokens: number): number {
  return tokens > 0 && Number.isFinite(tokens) ? Math.ceil(tokens) : 0
}

function entryOf({ facts, plan }: RunningOptions, used: TokensUsed, { cost, outcome }: { cost: number | undefined; outcome: string }) {
  const { call, provider, model, capability } = facts
  const { principal } = call
  return {
    request_id: call.requestId,
    key_id: principal?.key?.id ?? null,
    principal: principal?.id ?? null,
    attributes: plan.attributes,
    provider,
    model,
    capability,
    outcome,
    input_tokens: used.input,
    output_tokens: used.output,
    cached_input_tokens: whole0(used.cachedInput ?? 0),
    reasoning_tokens: whole0(used.reasoning ?? 0),
    estimated: used.estimated ? 1 : 0,
    cost_nano_dollars: cost ?? null,
  }
}
