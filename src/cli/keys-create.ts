import { defineCommand, usageError } from './command.ts'
import { configOption } from './keys-options.ts'

export const keysCreate = defineCommand({
  name: 'keys create',
  summary: 'Create an API key',
  description:
    "Writes to the database of the configuration (default: corral.db in Corral's home), whether or not a server is running; running servers accept the key within a second. The token is printed to stdout, once; all other output goes to stderr. No policy applies: write access to the database is sufficient. The audit log records the operating system's user.",
  options: {
    name: { type: 'string', value: 'NAME', description: 'a name for the key; required' },
    as: { type: 'string', value: 'PRINCIPAL', description: 'the principal that requests with this key are made as; default: the name' },
    attribute: { type: 'string', value: 'NAME=VALUE', multiple: true, description: 'an attribute of the principal, e.g. teams=search' },
    model: {
      type: 'string',
      value: 'PATTERN',
      multiple: true,
      description: 'a model that it may use, * matches any characters; default: all',
    },
    api: { type: 'string', value: 'NAME', multiple: true, description: 'an API that it may use, e.g. inference or models; default: all' },
    expires: {
      type: 'string',
      value: '90d|DATE',
      description: 'lifetime (12h, 90d, 1y) or expiry time (2027-01-31 or 2027-01-31T08:00, UTC unless it has a zone); default: never',
    },
    limit: {
      type: 'string',
      value: 'AMOUNT=N/PERIOD',
      multiple: true,
      description:
        'requests, input_tokens, output_tokens, total_tokens (or tokens) or dollars per second, minute, hour, day, week or month; or concurrent_requests=N (or concurrent=N)',
    },
    config: configOption,
    json: { type: 'boolean', description: 'print JSON, including the token' },
  },
  examples: [
    ['A key for a team, valid for 90 days', 'corral keys create --name search-ci --as search --attribute teams=search --expires 90d'],
    [
      'A key with restrictions and limits',
      "corral keys create --name demo --model 'groq/*' --api inference --limit requests=60/minute --limit dollars=100/month",
    ],
    ['Store the token in a variable', 'export OPENAI_API_KEY=$(corral keys create --name laptop)'],
  ],
  async run({ options }, context) {
    const { name } = options
    if (name === undefined) throw usageError('corral keys create requires --name NAME.', 'See `corral help keys create`.')
    const [{ withKeys }, { readCreateKeyOptions }] = await Promise.all([import('./keys-access.ts'), import('./keys-input.ts')])
    const body = readCreateKeyOptions({ ...options, name }, Date.now())
    const { stdout, stderr } = context
    await withKeys(options.config, context, async ({ keys, call, config, place }) => {
      const { key, token } = await keys.create(call, body)
      const until = key.expires_at === null ? 'it does not expire' : `it expires at ${new Date(key.expires_at * 1000).toISOString()}`
      stderr.write(
        `${stderr.green(key.id)} created for principal '${key.principal}'; ${until}. Stored in ${place}; the token is shown only once.\n`,
      )
      if (!config.auth) {
        stderr.write(
          `${stderr.yellow('warning:')} this configuration has no authentication, so keys are not checked: set server.auth.provider_config, e.g. {type: api_key}.\n`,
        )
      }
      stdout.write(options.json ? `${JSON.stringify({ ...key, value: token.reveal() })}\n` : `${token.reveal()}\n`)
    })
  },
})
