import type { Principal } from '../call.ts'
import type { TextPattern } from './text-pattern.ts'

export const actions = ['create', 'read', 'update', 'delete'] as const
export type Action = (typeof actions)[number]

/** Whose a resource is: who made it, with the attributes of that moment. */
export interface Owner {
  readonly id: string
  readonly attributes: Readonly<Record<string, readonly string[]>>
}

/** A thing that policies speak of, e.g. `model::groq/llama-3.3-70b`. */
export interface Resource {
  readonly type: string
  readonly id: string
  /** Absent: unowned, such as what comes from the configuration or from a provider's listing. */
  readonly owner?: Owner | undefined
}

export interface AccessRequest {
  /** Absent: authentication is off. */
  readonly principal: Principal | undefined
  readonly action: Action
  readonly resource: Resource
}

export interface Decision {
  readonly allowed: boolean
  /** The index of the rule that decided; absent: none matched, authentication is off, or the server itself asks. */
  readonly rule?: number | undefined
  /** A rule of the configured policy decided, not the default policy. */
  readonly explicit: boolean
  /** One sentence for people. */
  readonly reason: string
}

/** One condition of Llama Stack's word grammar, read. */
export type Condition =
  /** `user is owner`, `user is not owner` */
  | { readonly kind: 'owner'; readonly negated: boolean }
  /** `user with VALUE in ATTRIBUTE`, `user with VALUE not in ATTRIBUTE` */
  | { readonly kind: 'value'; readonly value: string; readonly attribute: string; readonly negated: boolean }
  /** `user in owners ATTRIBUTE`, `user not in owners ATTRIBUTE` */
  | { readonly kind: 'shared'; readonly attribute: string; readonly negated: boolean }
  /** `resource is unowned`; there is no condition for the opposite */
  | { readonly kind: 'unowned'; readonly negated: boolean }

/** When a rule in whose scope a request falls applies: `when` all of its conditions hold, `unless` they do. */
export type RuleMode = 'always' | 'when' | 'unless'

/** What the rules of both policies have in common. */
interface CompiledRule {
  /** Its place in the configured list, from 0; undefined: the default policy's. */
  readonly index: number | undefined
  readonly allows: boolean
  readonly conditions: readonly Condition[]
  readonly mode: RuleMode
  /** What is decided where it applies. */
  readonly decision: Decision
}

export interface CompiledAccessRule extends CompiledRule {
  readonly actions: readonly Action[]
  /** Undefined: everybody. */
  readonly principal: string | undefined
  /** Of `type::id`. */
  readonly resource: TextPattern
}

export interface CompiledRouteRule extends CompiledRule {
  readonly paths: readonly TextPattern[]
  /** In capitals; undefined: all. */
  readonly methods: readonly string[] | undefined
}

/** `access_policy`, compiled. Pure. */
export interface AccessPolicy {
  /** The attribute by which tenants are separated: in two of them, one id is two principals. Absent: they are not separated. */
  readonly tenantAttribute?: string | undefined
  decide(request: AccessRequest): Decision
  /** True where the configuration has none and Llama Stack's default holds. */
  readonly isDefault: boolean
  /** What `decide` goes by, in order. Absent: it goes by something else, and lists are filtered by asking it for each row. */
  readonly rules?: readonly CompiledAccessRule[]
}

/** One request as `route_policy` sees it. */
export interface RouteRequest {
  readonly principal: Principal | undefined
  /** HEAD counts as GET. */
  readonly method: string
  /** Percent-decoded, otherwise as it was sent. */
  readonly path: string
}

/** `route_policy`, compiled. Pure. */
export interface RoutePolicy {
  decide(request: RouteRequest): Decision
  /** What `decide` goes by, in order. */
  readonly rules?: readonly CompiledRouteRule[]
}
