import { defineCommand } from './command.ts'
import { sourceArgument, strictOption } from './config-options.ts'

export const configShow = defineCommand({
  name: 'config show',
  summary: 'Print the effective configuration, with secrets masked',
  arguments: [sourceArgument],
  options: { strict: strictOption, json: { type: 'boolean', description: 'print JSON instead of YAML' } },
  examples: [
    ['The configuration of `corral run` in this environment', 'corral config show'],
    ['The effective configuration of a file', 'corral config show groq.yaml'],
  ],
  async run({ args: [source], options }, context) {
    const { loadChosen } = await import('./configuration.ts')
    const { renderConfig, shownConfig } = await import('../config/render.ts')
    const { config } = await loadChosen({ source, strict: options.strict, probe: true, offline: true }, context)
    context.stdout.write(options.json ? `${JSON.stringify(shownConfig(config))}\n` : renderConfig(config))
  },
})
