import { explainMismatch } from '../access/access-policy.ts'
import type { Action, Decision, Owner, AccessRequest, RouteRequest } from '../access/policy.ts'
import { resourceTypes } from '../access/resource-types.ts'
import { explainRouteMismatch } from '../access/route-policy.ts'
import type { Principal } from '../call.ts'
import type { Config } from '../config/config.ts'

/** What is asked of the policies: the one or the other. */
export type PolicyQuestion = ({ readonly policy: 'access_policy' } & AccessRequest) | ({ readonly policy: 'route_policy' } & RouteRequest)

/** A decision, and how it came to be. */
export interface Explanation {
  readonly policy: PolicyQuestion['policy']
  readonly allowed: boolean
  /** As people count: the first is 1. Null: no rule of the configuration decided. */
  readonly rule: number | null
  readonly reason: string
  /** The rules before, with why each did not apply. */
  readonly passed: readonly { readonly rule: number; readonly why: string }[]
}

export function explain(config: Pick<Config, 'accessPolicy' | 'routePolicy'>, question: PolicyQuestion): Explanation {
  return question.policy === 'access_policy' ? explainAccess(config, question) : explainRoute(config, question)
}

function explainAccess({ accessPolicy }: Pick<Config, 'accessPolicy'>, question: AccessRequest): Explanation {
  const decision = accessPolicy.decide(question)
  // The default policy's rules have no number, and nobody asked for them.
  const rules = accessPolicy.isDefault || !question.principal ? [] : (accessPolicy.rules ?? []).filter(({ index }) => index !== undefined)
  return { policy: 'access_policy', ...shown(decision), passed: passed(rules, decision, (rule) => explainMismatch(rule, question)) }
}

function explainRoute({ routePolicy }: Pick<Config, 'routePolicy'>, question: RouteRequest): Explanation {
  const decision = routePolicy?.decide(question) ?? { allowed: true, explicit: false, reason: 'there is no route policy' }
  const why = passed(routePolicy?.rules ?? [], decision, (rule) => explainRouteMismatch(rule, question))
  return { policy: 'route_policy', ...shown(decision), passed: why }
}

function shown({ allowed, rule, reason }: Decision): Pick<Explanation, 'allowed' | 'rule' | 'reason'> {
  return { allowed, rule: rule === undefined ? null : rule + 1, reason }
}

function passed<R>(rules: readonly R[], decision: Decision, whyNot: (rule: R) => string | undefined): Explanation['passed'] {
  return rules.slice(0, decision.rule).map((rule, at) => ({ rule: at + 1, why: whyNot(rule) ?? 'it applies' }))
}

/** `type::id`; undefined where it is none, or of a type that there is not. */
export function readResource(text: string): { type: string; id: string } | undefined {
  const [, type = '', id = ''] = /^(sql_record::\w+|\w+)::(.+)$/s.exec(text) ?? []
  const known = (resourceTypes as readonly string[]).includes(type.split('::', 1)[0] ?? '')
  return known && id !== '' ? { type, id } : undefined
}

/** Why `readResource` does not take it, for people. */
export function whyNoResource(text: string): string {
  const [, type = ''] = /^(\w+)::/.exec(text) ?? []
  if (type === '' || (resourceTypes as readonly string[]).includes(type)) {
    return `'${text}' is no resource: it is 'type::id', e.g. 'model::groq/llama-3.3-70b'.`
  }
  return `There is no resource type '${type}'. The types: ${resourceTypes.join(', ')}.`
}

export function accessQuestion(asked: {
  principal: Principal | undefined
  action: Action
  resource: { type: string; id: string }
  owner: Owner | undefined
}): PolicyQuestion {
  const { principal, action, resource, owner } = asked
  return { policy: 'access_policy', principal, action, resource: { ...resource, owner } }
}

/** `path` as it would be sent; an unescaped one is as good. */
export function routeQuestion(principal: Principal | undefined, method: string, path: string): PolicyQuestion {
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
