import { defineCommand } from './command.ts'
import { sourceArgument, strictOption } from './config-options.ts'

export const configShow = defineCommand({
  name: 'config show',
  summary: 'print the configuration in effect, variables filled in, secrets masked',
  arguments: [sourceArgument],
  options: { strict: strictOption, json: { type: 'boolean', description: 'print JSON in place of YAML' } },
  examples: [
    ['What would `corral run` serve here?', 'corral config show'],
    ["A file's effect", 'corral config show groq.yaml'],
  ],
  async run({ args: [source], options }, context) {
    const { loadChosen } = await import('./configuration.ts')
    const { renderConfig, shownConfig } = await import('../config/render.ts')
    const { config } = await loadChosen({ source, strict: options.strict, probe: true, offline: true }, context)
    context.stdout.write(options.json ? `${JSON.stringify(shownConfig(config))}\n` : renderConfig(config))
  },
})
