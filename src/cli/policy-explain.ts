import type { Action } from '../access/policy.ts'
import type { Config } from '../config/config.ts'
import { type CommandContext, defineCommand, jsonOption, type OptionSpec, usageError } from './command.ts'
import { configOption, sourceArgument } from './config-options.ts'
import type { PolicyExplanation, PolicyQuery } from './policy-query.ts'

const attributes = { type: 'string', multiple: true, value: 'NAME=VALUE' } as const satisfies Omit<OptionSpec, 'description'>

export const policyExplain = defineCommand({
  name: 'policy explain',
  summary: 'Explain which policy rule decides a request',
  description:
    'Evaluates the policies of a configuration without a server: the access policy with --action and --resource, the route policy with --path (and --method). Shows whether the request is allowed, which rule decided it, where that rule is defined, and why earlier rules did not apply.\n\nPass attributes from the identity provider with --attribute. Without --owner, the resource has no owner.',
  arguments: [sourceArgument],
  options: {
    as: { type: 'string', value: 'USER', description: 'the principal; default: an unauthenticated caller' },
    attribute: { ...attributes, description: 'an attribute of the principal, e.g. roles=admin' },
    action: { type: 'string', value: 'ACTION', choices: ['create', 'read', 'update', 'delete'], description: 'the action' },
    resource: { type: 'string', value: 'TYPE::ID', description: 'the resource, e.g. model::groq/llama-3.3-70b' },
    owner: { type: 'string', value: 'USER', description: 'the owner of the resource' },
    'owner-attribute': { ...attributes, description: 'an attribute of the owner when the resource was created' },
    path: { type: 'string', value: 'PATH', description: 'the path of a request, e.g. /v1/models' },
    method: { type: 'string', value: 'METHOD', description: 'the method of the request; default GET' },
    config: { ...configOption, description: 'same as the argument' },
    json: jsonOption,
  },
  examples: [
    [
      'Access of a developer to a model',
      'corral policy explain run.yaml --as ann --attribute roles=dev --action read --resource model::groq/llama',
    ],
    ['Access without authentication to the list of models', 'corral policy explain run.yaml --path /v1/models'],
  ],
  async run({ args, options }, context) {
    const [{ loadChosen, oneSource }, { explain }, { rulePlaces }] = await Promise.all([
      import('./configuration.ts'),
      import('./policy-query.ts'),
      import('./policy-places.ts'),
    ])
    const query = await queryOf(options)
    const { config, origin } = await loadChosen({ source: oneSource(args[0], options.config), offline: true }, context)
    const explanation = explain(config, query)
    const placeOf = rulePlaces(origin)
    if (options.json) {
      const place = explanation.rule === null ? null : placeOf(explanation.policy, explanation.rule)
      context.stdout.write(`${JSON.stringify({ ...explanation, place })}\n`)
      return
    }
    noteMissingAuthentication(config, query, context)
    noteUnknownProvider(config, query, context)
    printExplanation(explanation, placeOf, context)
  },
})

interface PolicyExplainOptions {
  readonly as: string | undefined
  readonly attribute: readonly string[]
  readonly action: string | undefined
  readonly resource: string | undefined
  readonly owner: string | undefined
  readonly 'owner-attribute': readonly string[]
  readonly path: string | undefined
  readonly method: string | undefined
}

async function queryOf(options: PolicyExplainOptions): Promise<PolicyQuery> {
  const {
    accessQuery: accessQuestion,
    readResource,
    routeQuery: routeQuestion,
    invalidResourceMessage: whyNoResource,
  } = await import('./policy-query.ts')
  const { as, action, resource, path, method, owner } = options
  const forAccess = action !== undefined || resource !== undefined
  if (forAccess === (path !== undefined)) {
    throw usageError('Pass either --action and --resource, or --path.', 'See `corral policy explain --help`.')
  }
  if (as === undefined && options.attribute.length > 0) throw usageError('--attribute requires --as.')
  const principal = as === undefined ? undefined : { id: as, attributes: readAttributes(options.attribute, '--attribute') }
  if (path !== undefined) {
    if (!path.startsWith('/')) throw usageError(`--path: expected a path that begins with '/', got '${path}'.`)
    return routeQuestion(principal, method ?? 'GET', path)
  }
  if (action === undefined || resource === undefined) throw usageError('--action and --resource are required together.')
  if (principal === undefined) throw usageError('The access policy requires a principal: pass --as.')
  if (owner === undefined && options['owner-attribute'].length > 0) throw usageError('--owner-attribute requires --owner.')
  const read = readResource(resource)
  if (!read) throw usageError(whyNoResource(resource))
  const whose = owner === undefined ? undefined : { id: owner, attributes: readAttributes(options['owner-attribute'], '--owner-attribute') }
  return accessQuestion({ principal, action: action as Action, resource: read, owner: whose })
}

function readAttributes(pairs: readonly string[], option: string): Record<string, string[]> {
  const read = pairs.map((pair) => {
    const at = pair.indexOf('=')
    if (at < 1) throw usageError(`${option}: expected NAME=VALUE, e.g. roles=admin, got '${pair}'.`)
    return [pair.slice(0, at), pair.slice(at + 1)] as const
  })
  const values = Map.groupBy(read, ([name]) => name)
  return Object.fromEntries([...values].map(([name, list]) => [name, list.map(([, value]) => value)]))
}

function noteMissingAuthentication({ auth }: Config, { policy }: PolicyQuery, { stderr }: CommandContext): void {
  if (auth || policy === 'route_policy') return
  stderr.write(`${stderr.yellow('note:')} this configuration has no authentication, so the access policy is not evaluated\n`)
}

/** The models of providers are `provider_id/model`. One with such a name may have been registered over the API, so this is not an error. */
function noteUnknownProvider({ providers, models }: Config, query: PolicyQuery, { stderr }: CommandContext): void {
  if (query.policy === 'route_policy' || query.resource.type !== 'model') return
  const { id } = query.resource
  const prefix = id.slice(0, Math.max(0, id.indexOf('/')))
  if (prefix === '' || providers.some((provider) => provider.id === prefix) || models.some(({ modelId }) => modelId === id)) return
  const known = providers.map((provider) => provider.id).join(', ')
  stderr.write(
    `${stderr.yellow('note:')} no provider '${prefix}' is configured${known && ` (${known})`}, so no listed model has the id '${id}'\n`,
  )
}

function printExplanation(
  { allowed, reason, rule, policy, skipped: passed }: PolicyExplanation,
  placeOf: (policy: PolicyExplanation['policy'], rule: number) => string,
  { stdout }: CommandContext,
): void {
  const verdict = allowed ? stdout.green('allowed') : stdout.red('denied')
  stdout.write(`${verdict}: ${reason}\n`)
  if (rule !== null) stdout.write(`  ${placeOf(policy, rule)}\n`)
  if (passed.length === 0) return
  stdout.write(`\n${stdout.bold('Rules that did not apply:')}\n`)
  for (const { rule: number, why } of passed) stdout.write(`  ${placeOf(policy, number)}: ${why}\n`)
}
