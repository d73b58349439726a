import { readConditions, ruleDecision } from './access-policy.ts'
import { allHold, anyHolds, formatCondition, holds } from './conditions.ts'
import { pathPattern, withoutLastSlashes } from './path-pattern.ts'
import type { Decision, RoutePolicy, RouteRequest, CompiledRouteRule } from './policy.ts'
import type { RouteRule as ConfiguredRule } from './schema.ts'
import { matchesText } from './text-pattern.ts'

const allowedWithoutPolicy: Decision = { allowed: true, explicit: false, reason: 'there is no route policy' }
const noMatchingRule: Decision = { allowed: false, explicit: false, reason: 'no rule applies' }

/**
 * `route_policy` as a function. The first rule that applies decides; where none does, the decision is to deny; without rules every route is open.
 * A rule applies to a path however it is spelled: as it was sent, and with doubled slashes, a slash at the end and Llama Stack's older
 * prefix (`/v1/openai/v1/…` for `/v1/…`) taken away. `rules` as `routePolicySchema` has checked them; throws an Error for others.
 */
export function compileRoutePolicy(rules: readonly ConfiguredRule[]): RoutePolicy {
  const compiled = rules.map(compileRule)
  return {
    rules: compiled,
    decide(request) {
      if (compiled.length === 0) return allowedWithoutPolicy
      const normalized = normalize(request)
      for (const rule of compiled) if (applies(rule, normalized)) return rule.decision
      return noMatchingRule
    },
  }
}

interface NormalizedRouteRequest {
  readonly principal: RouteRequest['principal']
  readonly method: string
  readonly spellings: readonly string[]
}

function normalize({ principal, method, path }: RouteRequest): NormalizedRouteRequest {
  return { principal, method: methodOf(method), spellings: spellingsOf(path) }
}

function compileRule(rule: ConfiguredRule, index: number): CompiledRouteRule {
  const scope = rule.permit ?? rule.forbid
  if (!scope) throw new Error('one of permit and forbid is required')
  const allows = Boolean(rule.permit)
  return {
    index,
    allows,
    paths: [scope.paths].flat().map(pathPattern),
    methods: scope.methods ? [scope.methods].flat().map((method) => method.toUpperCase()) : undefined,
    ...readConditions(rule),
    decision: ruleDecision(index, allows, rule.description ?? undefined),
  }
}

function applies(rule: CompiledRouteRule, { principal, method, spellings }: NormalizedRouteRequest): boolean {
  if (rule.methods && !rule.methods.includes(method)) return false
  if (!matchesPath(rule, spellings)) return false
  if (rule.mode === 'always') return true
  // Conditions cannot be evaluated for an anonymous caller, so they decide against it: the rule that permits does not apply, and
  // the rule that forbids does.
  if (!principal) return !rule.allows
  // Llama Stack's: `unless` takes the rule away where any of its conditions holds (in `access_policy`: where all do).
  return rule.mode === 'when' ? allHold(rule.conditions, principal, undefined) : !anyHolds(rule.conditions, principal, undefined)
}

/** What is too long for a regular expression is not permitted by it, and forbidden. */
function matchesPath({ paths, allows }: CompiledRouteRule, spellings: readonly string[]): boolean {
  for (const pattern of paths) {
    for (const path of spellings) if (matchesText(pattern, path) ?? !allows) return true
  }
  return false
}

function methodOf(method: string): string {
  const upper = method.toUpperCase()
  return upper === 'HEAD' ? 'GET' : upper
}

/** Every way to write a path that means the same route, the one that was sent among them. */
function spellingsOf(path: string): readonly string[] {
  const sent = withoutLastSlashes(path)
  const plain = sent.includes('//') ? sent.replaceAll(/\/{2,}/g, '/') : sent
  const current = plain.startsWith(legacyPrefix) ? plain.slice(legacyPrefix.length - currentPrefix.length) : plain
  return current === sent ? [sent] : [...new Set([sent, plain, current])]
}

const legacyPrefix = '/v1/openai/v1/'
const currentPrefix = '/v1/'

/** Why `rule` does not apply, for people; undefined: it does. */
export function explainRouteMismatch(rule: CompiledRouteRule, request: RouteRequest): string | undefined {
  const normalized = normalize(request)
  if (applies(rule, normalized)) return undefined
  if (rule.methods && !rule.methods.includes(normalized.method)) return `it is about ${rule.methods.join(', ')}`
  if (!matchesPath(rule, normalized.spellings)) return 'it is about other paths'
  const { principal } = request
  if (!principal) return 'its conditions are about a user, and there is none'
  const deciding = rule.conditions.find((condition) => holds(condition, principal, undefined) === (rule.mode === 'unless'))
  return deciding && `'${formatCondition(deciding)}' ${rule.mode === 'unless' ? 'holds' : 'does not hold'}`
}
