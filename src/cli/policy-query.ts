import { explainMismatch } from '../access/access-policy.ts'
import type { Action, Decision, Owner, AccessRequest, RouteRequest } from '../access/policy.ts'
import { resourceTypes } from '../access/resource-types.ts'
import { explainRouteMismatch } from '../access/route-policy.ts'
import type { Principal } from '../call.ts'
import type { Config } from '../config/config.ts'

/** What is asked of the policies: the one or the other. */
export type PolicyQuery = ({ readonly policy: 'access_policy' } & AccessRequest) | ({ readonly policy: 'route_policy' } & RouteRequest)

/** A decision, and how it came to be. */
export interface PolicyExplanation {
  readonly policy: PolicyQuery['policy']
  readonly allowed: boolean
  /** As people count: the first is 1. Null: no rule of the configuration decided. */
  readonly rule: number | null
  readonly reason: string
  /** The rules before, with why each did not apply. */
  readonly skipped: readonly { readonly rule: number; readonly why: string }[]
}

export function explain(config: Pick<Config, 'accessPolicy' | 'routePolicy'>, query: PolicyQuery): PolicyExplanation {
  return query.policy === 'access_policy' ? explainAccess(config, query) : explainRoute(config, query)
}

function explainAccess({ accessPolicy }: Pick<Config, 'accessPolicy'>, query: AccessRequest): PolicyExplanation {
  const decision = accessPolicy.decide(query)
  // The rules of the default policy have no number and are not shown.
  const rules = accessPolicy.isDefault || !query.principal ? [] : (accessPolicy.rules ?? []).filter(({ index }) => index !== undefined)
  return { policy: 'access_policy', ...shown(decision), skipped: skipped(rules, decision, (rule) => explainMismatch(rule, query)) }
}

function explainRoute({ routePolicy }: Pick<Config, 'routePolicy'>, query: RouteRequest): PolicyExplanation {
  const decision = routePolicy?.decide(query) ?? { allowed: true, explicit: false, reason: 'there is no route policy' }
  const why = skipped(routePolicy?.rules ?? [], decision, (rule) => explainRouteMismatch(rule, query))
  return { policy: 'route_policy', ...shown(decision), skipped: why }
}

function shown({ allowed, rule, reason }: Decision): Pick<PolicyExplanation, 'allowed' | 'rule' | 'reason'> {
  return { allowed, rule: rule === undefined ? null : rule + 1, reason }
}

function skipped<R>(rules: readonly R[], decision: Decision, whyNot: (rule: R) => string | undefined): PolicyExplanation['skipped'] {
  return rules.slice(0, decision.rule).map((rule, at) => ({ rule: at + 1, why: whyNot(rule) ?? 'it applies' }))
}

/** `type::id`; undefined where it is none, or of a type that there is not. */
export function readResource(text: string): { type: string; id: string } | undefined {
  const [, type = '', id = ''] = /^(sql_record::\w+|\w+)::(.+)$/s.exec(text) ?? []
  const known = (resourceTypes as readonly string[]).includes(type.split('::', 1)[0] ?? '')
  return known && id !== '' ? { type, id } : undefined
}

/** Why `readResource` does not take it, for people. */
export function invalidResourceMessage(text: string): string {
  const [, type = ''] = /^(\w+)::/.exec(text) ?? []
  if (type === '' || (resourceTypes as readonly string[]).includes(type)) {
    return `--resource: expected 'type::id', e.g. 'model::groq/llama-3.3-70b', got '${text}'.`
  }
  return `Unknown resource type '${type}'. Known types: ${resourceTypes.join(', ')}.`
}

export function accessQuery(asked: {
  principal: Principal | undefined
  action: Action
  resource: { type: string; id: string }
  owner: Owner | undefined
}): PolicyQuery {
  const { principal, action, resource, owner } = asked
  return { policy: 'access_policy', principal, action, resource: { ...resource, owner } }
}

/** `path` as it would be sent; an unescaped one is as good. */
export function routeQuery(principal: Principal | undefined, method: string, path: string): PolicyQuery {
  return { policy: 'route_policy', principal, method, path: decoded(path.split(/[?#]/, 1)[0]!) }
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch (error) {
    if (error instanceof URIError) return path
    throw error
  }
}
