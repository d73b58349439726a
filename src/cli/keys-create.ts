import { defineCommand, usageError } from './command.ts'
import { configOption } from './keys-options.ts'

export const keysCreate = defineCommand({
  name: 'keys create',
  summary: 'make an API key for a user or a service',
  description:
    "Writes into the database that the configuration names (without one: corral.db in Corral's home), whether or not a server runs; a running one takes the key within a second. The token goes to stdout, alone and this once; all else goes to stderr. No policy is asked: whoever may write the database may make keys. The audit log names the user of the operating system.",
  options: {
    name: { type: 'string', value: 'NAME', description: 'what the key is for, for people; required' },
    as: { type: 'string', value: 'PRINCIPAL', description: 'whom it acts for, as policies and limits see it; default the name' },
    attribute: { type: 'string', value: 'NAME=VALUE', multiple: true, description: 'an attribute of the principal, e.g. teams=search' },
    model: { type: 'string', value: 'PATTERN', multiple: true, description: 'a model it may use, * for any characters; default all' },
    api: { type: 'string', value: 'NAME', multiple: true, description: 'an API it may use, e.g. inference or models; default all' },
    expires: {
      type: 'string',
      value: '90d|DATE',
      description:
        'how long it lives (12h, 90d, 1y), or until when (2027-01-31 or 2027-01-31T08:00, UTC unless it names a zone); default for ever',
    },
    limit: {
      type: 'string',
      value: 'AMOUNT=N/PERIOD',
      multiple: true,
      description:
        'requests, input_tokens, output_tokens, total_tokens (or tokens) or dollars a second, minute, hour, day, week or month; concurrent_requests=N (or concurrent=N)',
    },
    config: configOption,
    json: { type: 'boolean', description: 'print the key as JSON, the token among the rest' },
  },
  examples: [
    ['A key for a team, for a quarter', 'corral keys create --name search-ci --as search --attribute teams=search --expires 90d'],
    [
      'A key that can do little',
      "corral keys create --name demo --model 'groq/*' --api inference --limit requests=60/minute --limit dollars=100/month",
    ],
    ['Into a variable', 'export OPENAI_API_KEY=$(corral keys create --name laptop)'],
  ],
  async run({ options }, context) {
    const { name } = options
    if (name === undefined) throw usageError('corral keys create needs --name NAME: what the key is for.', 'See `corral help keys create`.')
    const [{ withKeys }, { readCreateKeyOptions: readWanted }, { toApiKeyInfo, toWanted }] = await Promise.all([
      import('./keys-access.ts'),
      import('./keys-input.ts'),
      import('../api/admin/keys.ts'),
    ])
    const wanted = toWanted(readWanted({ ...options, name }, Date.now()))
    const { stdout, stderr } = context
    await withKeys(options.config, context, async ({ keys, call, config, place }) => {
      const { key, token } = await keys.create(call, wanted)
      const until = key.expiresAt === undefined ? 'it does not expire' : `it expires at ${new Date(key.expiresAt).toISOString()}`
      stderr.write(`${stderr.green(key.id)} acts for '${key.principal}'; ${until}. It is kept in ${place}; the token is shown this once.\n`)
      if (!config.auth) {
        stderr.write(
          `${stderr.yellow('warning:')} this configuration has no authentication, so nobody is asked for a key: set server.auth.provider_config, e.g. {type: api_key}.\n`,
        )
      }
      stdout.write(
        options.json ? `${JSON.stringify({ ...toApiKeyInfo(key, Date.now()), value: token.reveal() })}\n` : `${token.reveal()}\n`,
      )
    })
  },
})
