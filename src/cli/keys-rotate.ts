import { defineCommand, usageError } from './command.ts'
import { configOption } from './keys-options.ts'

const maxGrace = 30 * 86_400_000

export const keysRotate = defineCommand({
  name: 'keys rotate',
  summary: 'Replace the token of an API key',
  description: 'Id, principal, models, limits, expiry and counted usage remain. The new token is printed to stdout, once.',
  arguments: [{ name: 'KEY', description: 'the key id, as listed by `corral keys list`, or the token', required: true }],
  options: {
    grace: { type: 'string', value: '24h', description: 'how long the old token remains valid, at most 30d; default: 0' },
    config: configOption,
    json: { type: 'boolean', description: 'print JSON, including the token' },
  },
  examples: [
    ['A new token; the old one remains valid for 24 hours', 'corral keys rotate key_0199a3c5d2e14b6f8a7c9e0d1b2f3a45 --grace 24h'],
    ['Replace a leaked token at once', 'corral keys rotate key_0199a3c5d2e14b6f8a7c9e0d1b2f3a45'],
  ],
  async run({ args: [key = ''], options }, context) {
    const [{ withKeys, keyIdOf }, { readDuration }] = await Promise.all([import('./keys-access.ts'), import('./times.ts')])
    const grace = options.grace === undefined ? 0 : readDuration(options.grace)
    if (grace === undefined || grace > maxGrace)
      throw usageError(`--grace: expected a duration like 24h or 7d, at most 30d, got '${options.grace}'.`)
    const { stdout, stderr } = context
    await withKeys(options.config, context, async ({ keys, call }) => {
      const { key: rotated, token } = await keys.rotate(call, keyIdOf(key), { grace_seconds: grace / 1000 })
      const until = rotated.previous_valid_until
      const old =
        until === null ? 'The old token is no longer valid.' : `The old token is valid until ${new Date(until * 1000).toISOString()}.`
      stderr.write(`${stderr.green(rotated.id)} has a new token, shown only once. ${old}\n`)
      stdout.write(options.json ? `${JSON.stringify({ ...rotated, value: token.reveal() })}\n` : `${token.reveal()}\n`)
    })
  },
})
