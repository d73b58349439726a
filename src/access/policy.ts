import type { Principal } from '../call.ts'

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

export interface Question {
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

/** `access_policy`, compiled. Pure. */
export interface AccessPolicy {
  decide(question: Question): Decision
  /** True where the configuration has none and Llama Stack's default holds. */
  readonly isDefault: boolean
}

/** One request as `route_policy` sees it. */
export interface RouteQuestion {
  readonly principal: Principal | undefined
  readonly method: string
  /** Decoded, without a slash at its end. */
  readonly path: string
}

/** `route_policy`, compiled. Pure. */
export interface RoutePolicy {
  decide(question: RouteQuestion): Decision
}
