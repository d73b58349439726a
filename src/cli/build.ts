import { type CommandContext, CommandError, defineCommand, type ExitCode, jsonOption, usageError } from './command.ts'
import { buildCompatibilityOptions } from './ignored-options.ts'

export const build = defineCommand({
  name: 'build',
  aliases: ['stack build'],
  summary: 'Write a configuration file',
  description:
    'Writes a commented configuration file for the given providers, or for a distribution in this environment. API keys are written as references to environment variables, never as values. Nothing is installed: the package contains every provider.',
  options: {
    providers: {
      type: 'string',
      value: 'SPEC',
      description: 'providers to serve: api=type, separated by commas, e.g. "inference=remote::groq"',
    },
    distro: { type: 'string', value: 'NAME', description: 'the distribution to write, instead of --providers' },
    name: { type: 'string', value: 'NAME', description: 'save it as a distribution for `corral run NAME` (~/.corral/distributions/NAME)' },
    output: { type: 'string', value: 'FILE', short: 'o', description: 'the file to write, - for standard output; default corral.yaml' },
    force: { type: 'boolean', short: 'f', description: 'overwrite an existing file' },
    run: { type: 'boolean', description: 'serve it after writing' },
    json: jsonOption,
    ...buildCompatibilityOptions,
  },
  examples: [
    ['Groq, in ./corral.yaml', 'corral build --providers "inference=remote::groq"'],
    ['Two providers, in both.yaml', 'corral build --providers "inference=remote::openai,inference=remote::ollama" --output both.yaml'],
    ['For `corral run groq`', 'corral build --providers "inference=remote::groq" --name groq'],
  ],
  async run({ options }, context) {
    if (options['list-distros'] || options['list-distributions'] || options['list-templates']) {
      const { listDistros } = await import('./list-distros.ts')
      return listDistros.run({ args: [], options: { json: options.json } }, context)
    }
    if (options['print-deps-only']) {
      context.stderr.write('Nothing to install: the package contains every provider.\n')
      return 0
    }
    const distribution = options.distro ?? options.distribution ?? options.template
    const name = options.name ?? options['image-name']
    if (name !== undefined && !/^[A-Za-z0-9][\w.-]*$/.test(name)) {
      throw usageError(`--name: invalid name '${name}'.`, 'Use letters, digits, dots, dashes and underscores.')
    }
    const text = await configText(options.providers, distribution, { name, context })
    if (options.output === '-') {
      context.stdout.write(text)
      return 0
    }
    const { path, source } = await outputPath(name, options.output, context)
    await writeNewFile(path, text, options.force)
    await printResult({ path, source, text, json: options.json }, context)
    if (!options.run) return 0
    const { run } = await import('./run.ts')
    const { parseInput } = await import('./parse.ts')
    return (await run.run(parseInput(run, [path]), context)) ?? 0
  },
})

async function configText(
  spec: string | undefined,
  distribution: string | undefined,
  { name, context: { env } }: { name: string | undefined; context: CommandContext },
): Promise<string> {
  if ((spec === undefined) === (distribution === undefined)) {
    throw usageError(
      spec === undefined ? 'corral build requires --providers or --distro.' : '--providers and --distro are mutually exclusive.',
      'E.g. --providers "inference=remote::groq". `corral list providers` lists the types.',
    )
  }
  const { plannedProviders: planned, loadProviderDefinitions } = await import('../providers/index.ts')
  const definitions = await loadProviderDefinitions()
  if (spec !== undefined) {
    const { buildConfigText } = await import('../config/build.ts')
    const { parseProvidersSpec } = await import('../config/spec.ts')
    const { explained } = await import('./configuration.ts')
    try {
      return buildConfigText(parseProvidersSpec(spec, { definitions, planned }), { name: name ?? 'corral' })
    } catch (error) {
      throw explained(error)
    }
  }
  const { builtInDistributions } = await import('../config/distributions/index.ts')
  const found = builtInDistributions.find((one) => one.name === distribution)
  if (found) return found.text({ env, definitions })
  const names = builtInDistributions.map((one) => one.name).join(', ')
  throw new CommandError(`Unknown distribution '${distribution}'.`, { remedy: `Built in: ${names}.` })
}

/** Where the file goes, and what `corral run` calls it. */
async function outputPath(
  name: string | undefined,
  output: string | undefined,
  { env, cwd }: CommandContext,
): Promise<{ path: string; source: string }> {
  const { join, resolve } = await import('node:path')
  if (output !== undefined || name === undefined) {
    const source = output ?? 'corral.yaml'
    return { path: resolve(cwd, source), source }
  }
  const { ownFolder } = await import('../config/source.ts')
  const { homedir } = await import('node:os')
  return { path: join(ownFolder(env, env['HOME'] ?? homedir()), name, 'config.yaml'), source: name }
}

async function writeNewFile(path: string, text: string, overwrite: boolean): Promise<void> {
  const { mkdir, writeFile } = await import('node:fs/promises')
  const { dirname } = await import('node:path')
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text, { flag: overwrite ? 'w' : 'wx' })
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EEXIST') {
      throw new CommandError(`${path} already exists.`, {
        remedy: 'Add --force to overwrite it, or choose another file with --output.',
        cause: error,
      })
    }
    throw new CommandError(`${path} cannot be written (${code ?? String(error)}).`, {
      remedy: 'Choose another file with --output.',
      cause: error,
    })
  }
}

interface WrittenConfig {
  readonly path: string
  readonly source: string
  readonly text: string
  readonly json: boolean
}

async function printResult({ path, source, text, json }: WrittenConfig, { stdout, env }: CommandContext): Promise<ExitCode> {
  const { variablesIn } = await import('../config/substitute.ts')
  const live = text.replaceAll(/^\s*#.*$/gm, '')
  const variables = [...new Set(variablesIn(live))]
  const unset = variables.filter((variable) => !env[variable])
  if (json) {
    stdout.write(`${JSON.stringify({ path, run: `corral run ${source}`, unset_variables: unset })}\n`)
    return 0
  }
  stdout.write(`Wrote ${path}\n`)
  const read = variables.map((variable) => (unset.includes(variable) ? `${variable} (not set)` : variable))
  if (read.length > 0) stdout.write(`Environment variables: ${read.join(', ')}\n`)
  stdout.write(`Run: ${stdout.bold(`corral run ${source}`)}\n`)
  return 0
}
