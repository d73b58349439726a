import { z } from 'zod'
import { isAboutUserAlone, parseCondition } from './conditions.ts'
import { pathPattern } from './path-pattern.ts'
import { actions } from './policy.ts'
import { resourceTypes } from './resource-types.ts'
import { plainPattern, regexPattern } from './text-pattern.ts'

/** What is wrong with a text; undefined: nothing. */
type TextCheck = (text: string) => string | undefined

/** One text or a list of them, none of which `complain` finds fault with. */
function oneOrMany(check: TextCheck) {
  return z.union([z.string(), z.array(z.string())]).superRefine((value, context) => {
    const report = (message: string, path: (string | number)[]) => context.addIssue({ code: 'custom', message, path })
    if (value.length === 0) report(typeof value === 'string' ? 'must not be empty' : 'must have at least one entry', [])
    for (const [at, text] of [value].flat().entries()) {
      const message = check(text)
      if (message !== undefined) report(message, typeof value === 'string' ? [] : [at])
    }
  })
}

/** The message of what `read` throws. */
function messageThrownBy(read: () => unknown): string | undefined {
  try {
    read()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

const oneOf = (names: readonly string[]): string => `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`

const checkAction: TextCheck = (text) =>
  (actions as readonly string[]).includes(text) ? undefined : `unknown action '${text}': ${oneOf(actions)}`

const checkCondition: TextCheck = (text) => messageThrownBy(() => parseCondition(text))

const checkRouteCondition: TextCheck = (text) =>
  checkCondition(text) ??
  (isAboutUserAlone(parseCondition(text))
    ? undefined
    : `Invalid condition: ${text.trim()} (a route has no owner: only 'user with VALUE in ATTRIBUTE' and 'user with VALUE not in ATTRIBUTE' are allowed here)`)

const checkRegex: TextCheck = (text) => {
  const message = messageThrownBy(() => regexPattern(text))
  return message === undefined ? undefined : `invalid regular expression: ${message}`
}

const checkResource: TextCheck = (text) => {
  if (text.startsWith('regex:')) return checkRegex(text)
  const type = text.split('::', 1)[0]!
  if (!/^\w+::./s.test(text)) return "must be 'type::id', 'type::*' or 'regex:…'"
  if (!(resourceTypes as readonly string[]).includes(type)) return `unknown resource type '${type}': ${oneOf(resourceTypes)}`
  return plainPattern(text) ? undefined : "'*' is allowed only at the end: use 'regex:…' for other patterns"
}

const checkPath: TextCheck = (text) => messageThrownBy(() => pathPattern(text))

const routeMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

const checkMethod: TextCheck = (text) => {
  if (routeMethods.includes(text.toUpperCase())) return undefined
  return text.toUpperCase() === 'HEAD' ? 'HEAD counts as GET: write GET' : `unknown method '${text}': ${oneOf(routeMethods)}`
}

/** A rule: whom it concerns is `scope`'s business, when it applies `condition`'s. */
function ruleOf<Scope extends z.ZodType>(scope: Scope, condition: TextCheck) {
  return z
    .strictObject({
      permit: scope.nullish().describe('What this rule allows. Either this or `forbid`.'),
      forbid: scope.nullish().describe('What this rule refuses. Either this or `permit`.'),
      when: oneOrMany(condition).nullish().describe('The rule applies only where all of these conditions hold.'),
      unless: oneOrMany(condition).nullish().describe('The rule does not apply where these conditions hold.'),
      description: z.string().nullish().describe('For people: shown in the log to explain a refusal.'),
    })
    .superRefine((rule, context) => {
      if (rule.permit && rule.forbid)
        context.addIssue({ code: 'custom', path: ['forbid'], message: 'permit and forbid are mutually exclusive' })
      if (!rule.permit && !rule.forbid) context.addIssue({ code: 'custom', path: [], message: 'one of permit and forbid is required' })
      if (isPresent(rule.when) && isPresent(rule.unless)) {
        context.addIssue({ code: 'custom', path: ['unless'], message: 'when and unless are mutually exclusive' })
      }
    })
}

const isPresent = (value: unknown): boolean => value !== undefined && value !== null

const accessScope = z.strictObject({
  principal: z.string().min(1, 'must not be empty').nullish().describe('The user this applies to; absent: every user.'),
  actions: oneOrMany(checkAction).describe('One or several of create, read, update, delete.'),
  resource: z
    .string()
    .superRefine((text, context) => {
      const message = checkResource(text)
      if (message !== undefined) context.addIssue({ code: 'custom', message })
    })
    .nullish()
    .describe("'type::id', 'type::*', 'type::beginning*', or 'regex:…' matched from the beginning of 'type::id'; absent: every resource."),
})

const routeScope = z.strictObject({
  paths: oneOrMany(checkPath).describe("'/exact/path', '/beginning*', '*' or 'regex:…' matched from the beginning of the path."),
  methods: oneOrMany(checkMethod).nullish().describe('GET (HEAD as well), POST, PUT, PATCH, DELETE, OPTIONS; absent: all.'),
})

/** One rule of `server.auth.access_policy`. */
export const accessRuleSchema = ruleOf(accessScope, checkCondition)
/** `server.auth.access_policy`: the first rule that matches decides. */
export const accessPolicySchema = z.array(accessRuleSchema)
export type AccessRule = z.output<typeof accessRuleSchema>

/** One rule of `server.auth.route_policy`. */
export const routeRuleSchema = ruleOf(routeScope, checkRouteCondition)
/** `server.auth.route_policy`: the first rule that matches decides. */
export const routePolicySchema = z.array(routeRuleSchema)
export type RouteRule = z.output<typeof routeRuleSchema>
