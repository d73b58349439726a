import { type Call, type Principal, systemPrincipal } from '../call.ts'
import { invalidRequest } from '../errors.ts'
import type { Counter, Demand } from './counters.ts'
import {
  type Asker,
  compileKeyLimits,
  type CompiledLimit,
  countersOf,
  isOfRequest,
  networkOf,
  type Target,
  type Unit,
} from './governance-limits.ts'

/** What every request of one asker takes, made once. */
export interface RequestPlan {
  readonly demands: readonly Demand[]
  /** To settle with: all of it, nothing of it. */
  readonly all: readonly number[]
  readonly none: readonly number[]
  /** Those of requests, for the headers. */
  readonly requests: readonly Counter[]
}

/** What answers of one model count against, for one asker. */
export interface TargetPlan {
  readonly counters: readonly Counter[]
  readonly requests: readonly Counter[]
  readonly tokens: readonly Counter[]
  readonly hasDollars: boolean
}

/** What is remembered at most of: users and keys, addresses of one, models of one. */
const mostPlans = 10_000
const mostAddresses = 10_000
const mostTargets = 500

/** How counters are named and kept. */
export interface Counting {
  /** Keeps servers apart that share a store. */
  readonly namespace: string
  /** The limiter's own object for a counter, which it need not look up. */
  readonly handle: (counter: Counter) => Counter
}

type Who = Pick<Call, 'principal' | 'clientAddress'>

/** The limits of each caller with their counters, found by hash once and then remembered. */
export class Plans {
  readonly #limits: readonly CompiledLimit[]
  readonly #counting: Counting
  readonly #ofKeys = new Map<string, Plan>()
  readonly #ofUsers = new Map<string, Plan>()
  readonly #ofSystem: Plan

  constructor(limits: readonly CompiledLimit[], counting: Counting) {
    this.#limits = limits
    this.#counting = counting
    this.#ofSystem = new Plan([], systemPrincipal, counting)
  }

  /** The server's own work has no limits. */
  of(principal: Principal | undefined): Plan {
    if (principal === systemPrincipal) return this.#ofSystem
    const plans = principal?.key ? this.#ofKeys : this.#ofUsers
    const name = principal?.key?.id ?? principal?.id ?? ''
    const known = plans.get(name)
    if (known?.fits(principal)) return known
    const plan = this.#make(principal)
    forgetOldest(plans, mostPlans)
    plans.set(name, plan)
    return plan
  }

  #make(principal: Principal | undefined): Plan {
    const applying = this.#limits.filter((limit) => limit.appliesTo(principal))
    return new Plan([...applying, ...compileKeyLimits(principal?.key?.limits ?? [])], principal, this.#counting)
  }
}

/** The limits of one user, or of all who are nobody. */
export class Plan {
  /** JSON. */
  readonly attributes: string
  readonly #limits: readonly CompiledLimit[]
  readonly #counting: Counting
  readonly #ofTarget: readonly CompiledLimit[]
  readonly #goesByAddress: boolean
  readonly #goesByTarget: boolean
  readonly #requests = new Map<string, RequestPlan | undefined>()
  /** By address, then by target where that matters. */
  readonly #targets = new Map<string, Map<string, TargetPlan>>()
  #principal: Principal | undefined

  constructor(limits: readonly CompiledLimit[], principal: Principal | undefined, counting: Counting) {
    this.#limits = limits
    this.#principal = principal
    this.#counting = counting
    this.#ofTarget = limits.filter((limit) => limit.ofTarget || limit.amounts.some(({ unit }) => !isOfRequest(unit)))
    this.#goesByTarget = limits.some(({ ofTarget }) => ofTarget)
    this.#goesByAddress = limits.some(
      ({ per, ofAddress }) => ofAddress || (principal === undefined && (per.includes('user') || per.includes('key'))),
    )
    this.attributes = JSON.stringify(principal?.attributes ?? {})
  }

  /** Whether this is (still) the plan of a user: the same name may come with other attributes. */
  fits(principal: Principal | undefined): boolean {
    const own = this.#principal
    if (own === principal) return true
    if (own?.id !== principal?.id || !own || !principal) return false
    if (!alike(own.attributes, principal.attributes) || !alike(own.key?.limits, principal.key?.limits)) return false
    this.#principal = principal
    return true
  }

  /** Undefined where nothing is counted. */
  request(who: Who): RequestPlan | undefined {
    if (this.#limits.length === 0) return undefined
    const address = this.#addressOf(who)
    const known = this.#requests.get(address)
    return known || this.#requests.has(address) ? known : this.#newRequest(who, address)
  }

  #newRequest(who: Who, address: string): RequestPlan | undefined {
    const asker: Asker = { principal: this.#principal, address: who.clientAddress }
    const counters = this.#limits.filter((limit) => !limit.ofTarget).flatMap((limit) => this.#counters(limit, asker, isOfRequest))
    const plan = counters.length === 0 ? undefined : toRequestPlan(counters)
    forgetOldest(this.#requests, mostAddresses)
    this.#requests.set(address, plan)
    return plan
  }

  /** Undefined where nothing is counted. Throws ApiError 400 where it would be counted otherwise if another model answered that the request names. */
  target(who: Who, target: Target): TargetPlan | undefined {
    const plan = this.#targetOf(who, target)
    const { fallbacks, told } = target
    if (!plan || !fallbacks) return plan
    const { provider } = target
    for (const { field, model, upstreamModel } of fallbacks) {
      if (upstreamModel === target.upstreamModel) continue
      const other = this.#targetOf(who, { provider, model, upstreamModel, told })
      if (!plan.hasDollars && !other?.hasDollars && other && countAlike(plan, other)) continue
      throw invalidRequest(
        `'${field}' cannot be used here: a limit on cost or on single models applies, and it must be known which model answers.`,
        {
          code: 'model_choice_not_allowed',
          param: field,
        },
      )
    }
    return plan
  }

  #targetOf(who: Who, target: Target): TargetPlan | undefined {
    if (this.#ofTarget.length === 0) return undefined
    const address = this.#addressOf(who)
    const targets = this.#targets.get(address) ?? this.#newTargets(address)
    const name = this.#goesByTarget ? `${target.provider}\n${target.model}\n${target.upstreamModel}\n${target.told ?? ''}` : ''
    const known = targets.get(name)
    if (known) return known
    const plan = this.#newTarget(who, target)
    forgetOldest(targets, mostTargets)
    targets.set(name, plan)
    return plan
  }

  #newTargets(address: string): Map<string, TargetPlan> {
    const targets = new Map<string, TargetPlan>()
    forgetOldest(this.#targets, mostAddresses)
    this.#targets.set(address, targets)
    return targets
  }

  #newTarget(who: Who, target: Target): TargetPlan {
    const { provider, model, upstreamModel, told } = target
    const asker: Asker = { principal: this.#principal, address: who.clientAddress, target: { provider, model, upstreamModel, told } }
    const counters = this.#ofTarget
      .filter((limit) => limit.matches(target))
      .flatMap((limit) => this.#counters(limit, asker, (unit) => limit.ofTarget || !isOfRequest(unit)))
    return toTargetPlan(counters)
  }

  #counters(limit: CompiledLimit, asker: Asker, units: (unit: Unit) => boolean): Counter[] {
    const { namespace, handle } = this.#counting
    return countersOf(limit, asker, units, namespace).map(handle)
  }

  #addressOf(who: Who): string {
    return this.#goesByAddress && who.clientAddress !== undefined ? networkOf(who.clientAddress) : ''
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

function countAlike(one: TargetPlan, other: TargetPlan): boolean {
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

/** Callers can bring ever new addresses and model names: what was made first is forgotten, and made again where it is needed. */
function forgetOldest(map: Map<string, unknown>, most: number): void {
  if (map.size < most) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}

function alike(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other)
}
