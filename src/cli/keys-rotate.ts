import { defineCommand, usageError } from './command.ts'
import { configOption } from './keys-options.ts'

const maxGrace = 30 * 86_400_000

export const keysRotate = defineCommand({
  name: 'keys rotate',
  summary: 'give an API key a new token',
  description:
    'Id, principal, models, limits and expiry stay; what was counted against its limits stays counted. The new token goes to stdout, alone and this once.',
  arguments: [{ name: 'KEY', description: 'its id, as `corral keys list` shows it, or its token', required: true }],
  options: {
    grace: { type: 'string', value: '24h', description: 'for how long the old token works as well, at most 30d; default not at all' },
    config: configOption,
    json: { type: 'boolean', description: 'print the key as JSON, the token among the rest' },
  },
  examples: [
    ['A new token, the old one good until tomorrow', 'corral keys rotate key_0199a3c5d2e14b6f8a7c9e0d1b2f3a45 --grace 24h'],
    ['The old one has leaked', 'corral keys rotate key_0199a3c5d2e14b6f8a7c9e0d1b2f3a45'],
  ],
  async run({ args: [key = ''], options }, context) {
    const [{ withKeys, keyIdOf }, { readDuration }, { toApiKeyInfo }] = await Promise.all([
      import('./keys-access.ts'),
      import('./times.ts'),
      import('../api/admin/keys.ts'),
    ])
    const grace = options.grace === undefined ? 0 : readDuration(options.grace)
    if (grace === undefined || grace > maxGrace) throw usageError(`--grace ${options.grace}: it is like 24h or 7d, and at most 30d.`)
    const { stdout, stderr } = context
    await withKeys(options.config, context, async ({ keys, call }) => {
      const { key: rotated, token } = await keys.rotate(call, keyIdOf(key), { grace })
      const until = rotated.previousValidUntil
      const old =
        until === undefined ? 'The old token is refused from now on.' : `The old token works until ${new Date(until).toISOString()}.`
      stderr.write(`${stderr.green(rotated.id)} has a new token, shown this once. ${old}\n`)
      stdout.write(
        options.json ? `${JSON.stringify({ ...toApiKeyInfo(rotated, Date.now()), value: token.reveal() })}\n` : `${token.reveal()}\n`,
      )
    })
  },
})
