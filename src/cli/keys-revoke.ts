import { defineCommand, jsonOption } from './command.ts'
import { configOption } from './keys-options.ts'

export const keysRevoke = defineCommand({
  name: 'keys revoke',
  summary: 'refuse an API key from now on',
  description:
    'Every running server that shares the database refuses it within a second. The key stays in the list. It cannot be taken back.',
  arguments: [{ name: 'KEY', description: 'its id, as `corral keys list` shows it, or its token', required: true, many: true }],
  options: { config: configOption, json: jsonOption },
  examples: [['Somebody has left', 'corral keys revoke key_0199a3c5d2e14b6f8a7c9e0d1b2f3a45']],
  async run({ args, options }, context) {
    const [{ withKeys, keyIdOf }, { toApiKeyInfo }] = await Promise.all([import('./keys-access.ts'), import('../api/admin/keys.ts')])
    await withKeys(options.config, context, async ({ keys, call }) => {
      const revoked = []
      for (const key of args) {
        const info = toApiKeyInfo(await keys.revoke(call, keyIdOf(key)), Date.now())
        revoked.push(info)
        if (!options.json) context.stdout.write(`${info.id} (${info.name}) is revoked.\n`)
      }
      if (options.json) context.stdout.write(`${JSON.stringify(revoked)}\n`)
    })
  },
})
