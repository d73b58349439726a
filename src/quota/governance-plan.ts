import { type Call, type Principal, systemPrincipal } from '../call.ts'
import { invalidRequest } from '../errors.ts'
import type { Counter, Demand } from './counters.ts'
import {
  type LimitedRequest,
  compileKeyLimits,
  type CompiledLimit,
  countersOf,
  isRequestUnit,
  networkOf,
  type LimitTarget,
  type CounterUnit,
} from './governance-limits.ts'
import { BoundedMap } from '../bounded-map.ts'

/** The demands of every request of one caller. */
export interface RequestPlan {
  readonly demands: readonly Demand[]
  /** Settlements: all of it, none of it. */
  readonly all: readonly number[]
  readonly none: readonly number[]
  /** The counters of requests, for the headers. */
  readonly requests: readonly Counter[]
}

/** The counters of one model for one caller. */
export interface TargetPlan {
  readonly counters: readonly Counter[]
  readonly requests: readonly Counter[]
  readonly tokens: readonly Counter[]
  readonly hasDollars: boolean
}

/** Maximum of cached plans: of users and keys, of addresses each, of models each. */
const maxPlans = 10_000
const maxAddresses = 10_000
const maxTargets = 500

/** How counters are named and found. */
interface CounterNaming {
  /** Separates servers that share a store. */
  readonly namespace: string
  /** The limiter’s handle of a counter, which saves the look-up. */
  readonly handle: (counter: Counter) => Counter
}

type RequestOrigin = Pick<Call, 'principal' | 'clientAddress'>

/** The limits of each caller with their counters, hashed once and cached. */
export class PlanCache {
  readonly #limits: readonly CompiledLimit[]
  readonly #naming: CounterNaming
  readonly #keyPlans = new BoundedMap<string, PrincipalPlan>(maxPlans)
  readonly #userPlans = new BoundedMap<string, PrincipalPlan>(maxPlans)
  readonly #systemPlan: PrincipalPlan

  constructor(limits: readonly CompiledLimit[], naming: CounterNaming) {
    this.#limits = limits
    this.#naming = naming
    this.#systemPlan = new PrincipalPlan([], systemPrincipal, naming)
  }

  /** The server’s own work has no limits. */
  of(principal: Principal | undefined): PrincipalPlan {
    if (principal === systemPrincipal) return this.#systemPlan
    const plans = principal?.key ? this.#keyPlans : this.#userPlans
    const name = principal?.key?.id ?? principal?.id ?? ''
    const known = plans.get(name)
    if (known?.isFor(principal)) return known
    const plan = this.#createPlan(principal)
    plans.set(name, plan)
    return plan
  }

  #createPlan(principal: Principal | undefined): PrincipalPlan {
    const applying = this.#limits.filter((limit) => limit.appliesTo(principal))
    return new PrincipalPlan([...applying, ...compileKeyLimits(principal?.key?.limits ?? [])], principal, this.#naming)
  }
}

/** The limits of one user, or of all unauthenticated callers. */
export class PrincipalPlan {
  /** JSON. */
  readonly attributes: string
  readonly #limits: readonly CompiledLimit[]
  readonly #naming: CounterNaming
  readonly #targetLimits: readonly CompiledLimit[]
  readonly #dependsOnAddress: boolean
  readonly #dependsOnTarget: boolean
  readonly #requests = new BoundedMap<string, RequestPlan | undefined>(maxAddresses)
  /** By address, then by target where limits depend on it. */
  readonly #targets = new BoundedMap<string, BoundedMap<string, TargetPlan>>(maxAddresses)
  #principal: Principal | undefined

  constructor(limits: readonly CompiledLimit[], principal: Principal | undefined, naming: CounterNaming) {
    this.#limits = limits
    this.#principal = principal
    this.#naming = naming
    this.#targetLimits = limits.filter((limit) => limit.isPerTarget || limit.amounts.some(({ unit }) => !isRequestUnit(unit)))
    this.#dependsOnTarget = limits.some(({ isPerTarget }) => isPerTarget)
    this.#dependsOnAddress = limits.some(
      ({ per, isPerAddress }) => isPerAddress || (principal === undefined && (per.includes('user') || per.includes('key'))),
    )
    this.attributes = JSON.stringify(principal?.attributes ?? {})
  }

  /** Whether this is (still) the plan of a user: attributes may have changed. */
  isFor(principal: Principal | undefined): boolean {
    const current = this.#principal
    if (current === principal) return true
    if (current?.id !== principal?.id || !current || !principal) return false
    if (!isEqual(current.attributes, principal.attributes) || !isEqual(current.key?.limits, principal.key?.limits)) return false
    this.#principal = principal
    return true
  }

  /** Undefined: nothing is counted. */
  request(origin: RequestOrigin): RequestPlan | undefined {
    if (this.#limits.length === 0) return undefined
    const address = this.#addressOf(origin)
    const known = this.#requests.get(address)
    return known || this.#requests.has(address) ? known : this.#newRequest(origin, address)
  }

  #newRequest(origin: RequestOrigin, address: string): RequestPlan | undefined {
    const limited: LimitedRequest = { principal: this.#principal, address: origin.clientAddress }
    const counters = this.#limits.filter((limit) => !limit.isPerTarget).flatMap((limit) => this.#counters(limit, limited, isRequestUnit))
    const plan = counters.length === 0 ? undefined : toRequestPlan(counters)
    this.#requests.set(address, plan)
    return plan
  }

  /** Undefined: nothing is counted. Throws ApiError 400 if one of the fallback models would be counted differently. */
  target(origin: RequestOrigin, target: LimitTarget): TargetPlan | undefined {
    const plan = this.#targetPlan(origin, target)
    const { fallbacks, requestedModel } = target
    if (!plan || !fallbacks) return plan
    const { provider } = target
    for (const { field, model, upstreamModel } of fallbacks) {
      if (upstreamModel === target.upstreamModel) continue
      const other = this.#targetPlan(origin, { provider, model, upstreamModel, requestedModel })
      if (!plan.hasDollars && !other?.hasDollars && other && haveSameCounters(plan, other)) continue
      throw invalidRequest(
        `'${field}' cannot be used here: a limit on cost or on single models applies, and the responding model must be known.`,
        {
          code: 'model_choice_not_allowed',
          param: field,
        },
      )
    }
    return plan
  }

  #targetPlan(origin: RequestOrigin, target: LimitTarget): TargetPlan | undefined {
    if (this.#targetLimits.length === 0) return undefined
    const address = this.#addressOf(origin)
    const targets = this.#targets.get(address) ?? this.#newTargets(address)
    const name = this.#dependsOnTarget ? `${target.provider}\n${target.model}\n${target.upstreamModel}\n${target.requestedModel ?? ''}` : ''
    const known = targets.get(name)
    if (known) return known
    const plan = this.#newTarget(origin, target)
    targets.set(name, plan)
    return plan
  }

  #newTargets(address: string): BoundedMap<string, TargetPlan> {
    const targets = new BoundedMap<string, TargetPlan>(maxTargets)
    this.#targets.set(address, targets)
    return targets
  }

  #newTarget(origin: RequestOrigin, target: LimitTarget): TargetPlan {
    const { provider, model, upstreamModel, requestedModel } = target
    const limited: LimitedRequest = {
      principal: this.#principal,
      address: origin.clientAddress,
      target: { provider, model, upstreamModel, requestedModel },
    }
    const counters = this.#targetLimits
      .filter((limit) => limit.matches(target))
      .flatMap((limit) => this.#counters(limit, limited, (unit) => limit.isPerTarget || !isRequestUnit(unit)))
    return toTargetPlan(counters)
  }

  #counters(limit: CompiledLimit, limited: LimitedRequest, units: (unit: CounterUnit) => boolean): Counter[] {
    const { namespace, handle } = this.#naming
    return countersOf(limit, limited, units, namespace).map(handle)
  }

  #addressOf(origin: RequestOrigin): string {
    return this.#dependsOnAddress && origin.clientAddress !== undefined ? networkOf(origin.clientAddress) : ''
  }
}

function toRequestPlan(counters: readonly Counter[]): RequestPlan {
  return {
    demands: counters.map((counter) => ({ counter, amount: 1 })),
    all: counters.map(() => 1),
    none: counters.map(() => 0),
    requests: counters.filter(({ unit }) => unit === 'requests'),
  }
}

function haveSameCounters(one: TargetPlan, other: TargetPlan): boolean {
  return one.counters.length === other.counters.length && one.counters.every(({ id }, at) => id === other.counters[at]?.id)
}

function toTargetPlan(counters: readonly Counter[]): TargetPlan {
  return {
    counters,
    requests: counters.filter(({ unit }) => unit === 'requests'),
    tokens: counters.filter(({ unit }) => unit.endsWith('_tokens')),
    hasDollars: counters.some(({ unit }) => unit === 'nano_dollars'),
  }
}

function isEqual(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other)
}
