import { defineCommand, jsonOption } from './command.ts'
import { configOption } from './keys-options.ts'

export const keysRevoke = defineCommand({
  name: 'keys revoke',
  summary: 'Revoke an API key',
  description:
    'Every running server that shares the database rejects the key within a second. The key remains listed. A revocation is final.',
  arguments: [{ name: 'KEY', description: 'the key id, as listed by `corral keys list`, or the token', required: true, many: true }],
  options: { config: configOption, json: jsonOption },
  examples: [['Revoke one key', 'corral keys revoke key_0199a3c5d2e14b6f8a7c9e0d1b2f3a45']],
  async run({ args, options }, context) {
    const { withKeys, keyIdOf } = await import('./keys-access.ts')
    await withKeys(options.config, context, async ({ keys, call }) => {
      const revoked = []
      for (const key of args) {
        const info = await keys.revoke(call, keyIdOf(key))
        revoked.push(info)
        if (!options.json) context.stdout.write(`${info.id} (${info.name}) is revoked.\n`)
      }
      if (options.json) context.stdout.write(`${JSON.stringify(revoked)}\n`)
    })
  },
})
