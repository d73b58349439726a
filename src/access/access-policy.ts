import { systemPrincipal } from '../call.ts'
import { allHold, formatCondition, holds, parseCondition } from './conditions.ts'
import type { AccessPolicy, CompiledAccessRule, Decision, AccessRequest, Resource, RuleMode } from './policy.ts'
import { actions as allActions } from './policy.ts'
import type { AccessRule as ConfiguredRule } from './schema.ts'
import { matchesText, plainPattern, regexPattern, type TextPattern } from './text-pattern.ts'

const allowedUnauthenticated: Decision = { allowed: true, explicit: false, reason: 'authentication is disabled' }
const allowedToSystem: Decision = { allowed: true, explicit: false, reason: 'the caller is the server itself' }
const noMatchingRule: Decision = { allowed: false, explicit: false, reason: 'no rule applies' }
const deniedByDefault: Decision = {
  allowed: false,
  explicit: false,
  reason: "the default policy: neither the caller's own, nor shared with one of its roles, teams, projects or namespaces",
}

/**
 * `access_policy` as a function. The first rule that applies decides; where none does, the decision is to deny. Without rules Llama Stack's newest
 * default policy holds. `rules` as `accessPolicySchema` has checked them; throws an Error for others.
 */
export function compileAccessPolicy(rules: readonly ConfiguredRule[]): AccessPolicy {
  return rules.length === 0 ? defaultAccessPolicy : policyOf(rules.map(compileRule), false)
}

/**
 * The same policy among tenants: what belongs to another tenant is refused before any rule is evaluated. `attribute` names the tenant, of callers and
 * owners. Resources without an owner (of the configuration, of the providers) are shared by all tenants, as far as `policy` permits it.
 */
export function withTenantIsolation(policy: AccessPolicy, attribute: string): AccessPolicy {
  const rule: CompiledAccessRule = {
    index: undefined,
    allows: false,
    actions: allActions,
    principal: undefined,
    resource: { kind: 'any' },
    conditions: [
      { kind: 'shared', attribute, negated: true },
      { kind: 'unowned', negated: true },
    ],
    mode: 'when',
    decision: { allowed: false, explicit: false, reason: 'it belongs to another tenant' },
  }
  return { ...policyOf([rule, ...(policy.rules ?? [])], policy.isDefault), tenantAttribute: attribute }
}

function policyOf(rules: readonly CompiledAccessRule[], isDefault: boolean): AccessPolicy {
  const defaultDecision = isDefault ? deniedByDefault : noMatchingRule
  return {
    isDefault,
    rules,
    decide(request) {
      const { principal } = request
      if (principal === undefined) return allowedUnauthenticated
      // By identity: another principal may have the same name.
      if (principal === systemPrincipal) return allowedToSystem
      const name = nameOf(request.resource)
      for (const rule of rules) if (applies(rule, request, name)) return rule.decision
      return defaultDecision
    },
  }
}

/** As rules call it. */
function nameOf({ type, id }: Resource): string {
  return `${type}::${id}`
}

function compileRule(rule: ConfiguredRule, index: number): CompiledAccessRule {
  const scope = rule.permit ?? rule.forbid
  if (!scope) throw new Error('one of permit and forbid is required')
  const allows = Boolean(rule.permit)
  return {
    index,
    allows,
    actions: allActions.filter((action) => [scope.actions].flat().includes(action)),
    principal: scope.principal ?? undefined,
    resource: resourcePattern(scope.resource ?? undefined),
    ...readConditions(rule),
    decision: ruleDecision(index, allows, rule.description ?? undefined),
  }
}

export function readConditions(rule: Pick<ConfiguredRule, 'when' | 'unless'>): Pick<CompiledAccessRule, 'conditions' | 'mode'> {
  const texts = rule.when ?? rule.unless
  const mode: RuleMode = rule.when ? 'when' : rule.unless ? 'unless' : 'always'
  return { conditions: texts ? [texts].flat().map(parseCondition) : [], mode }
}

export function ruleDecision(index: number, allows: boolean, description: string | undefined): Decision {
  const reason = `rule ${index + 1} ${allows ? 'permits' : 'forbids'} it${description ? ` (${description})` : ''}`
  return { allowed: allows, rule: index, explicit: true, reason }
}

function resourcePattern(text: string | undefined): TextPattern {
  if (text === undefined) return { kind: 'any' }
  const pattern = regexPattern(text) ?? plainPattern(text)
  if (!pattern) throw new Error(`'${text}' is not a resource`)
  return pattern
}

/** `principal` is there. What cannot be evaluated decides against the caller: a rule that permits does not apply, one that forbids does. */
function applies(rule: CompiledAccessRule, { principal, action, resource }: AccessRequest, name: string): boolean {
  if (!principal || !rule.actions.includes(action)) return false
  if (rule.principal !== undefined && rule.principal !== principal.id) return false
  const matches = matchesText(rule.resource, name) ?? !rule.allows
  if (!matches) return false
  if (rule.mode === 'always') return true
  // Llama Stack's: `unless` takes the rule away only where all of its conditions hold.
  return allHold(rule.conditions, principal, resource.owner) === (rule.mode === 'when')
}

/** Why `rule` does not apply, for people; undefined: it does. */
export function explainMismatch(rule: CompiledAccessRule, request: AccessRequest): string | undefined {
  const { principal, action, resource } = request
  const name = nameOf(resource)
  if (!principal || applies(rule, request, name)) return undefined
  if (!rule.actions.includes(action)) return `it is about ${rule.actions.join(', ')}`
  if (rule.principal !== undefined && rule.principal !== principal.id) return `it is about the user '${rule.principal}'`
  if (matchesText(rule.resource, name) !== true) return 'it is about other resources'
  if (rule.mode === 'unless') return `${rule.conditions.map((one) => `'${formatCondition(one)}'`).join(' and ')} holds`
  const failing = rule.conditions.find((condition) => !holds(condition, principal, resource.owner))
  return failing && `'${formatCondition(failing)}' does not hold`
}

/** Any action on resources that are unowned, the caller's own, or shared by an attribute: behaviour §4.3, Llama Stack's newest. */
const defaultConditions = [
  'resource is unowned',
  'user is owner',
  'user in owners roles',
  'user in owners teams',
  'user in owners projects',
  'user in owners namespaces',
]

/** What holds where `access_policy` is absent or empty. */
export const defaultAccessPolicy: AccessPolicy = policyOf(
  defaultConditions.map((condition) => ({
    index: undefined,
    allows: true,
    actions: allActions,
    principal: undefined,
    resource: { kind: 'any' },
    conditions: [parseCondition(condition)],
    mode: 'when',
    decision: { allowed: true, explicit: false, reason: `the default policy: ${condition}` },
  })),
  true,
)
