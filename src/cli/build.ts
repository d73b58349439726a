import { type CommandContext, CommandError, defineCommand, type ExitCode, jsonOption, usageError } from './command.ts'
import { buildCompatibilityOptions } from './ignored-options.ts'

export const build = defineCommand({
  name: 'build',
  aliases: ['stack build'],
  summary: 'write a configuration that runs as it is',
  description:
    'Writes a commented configuration file for the providers named, or for a distribution as this environment has it. Keys are written as references to environment variables, never as values. Nothing is installed: every provider is in the package.',
  options: {
    providers: {
      type: 'string',
      value: 'SPEC',
      description: 'what to serve: api=type, separated by commas, e.g. "inference=remote::groq"',
    },
    distro: { type: 'string', value: 'NAME', description: 'write this distribution out in place of --providers' },
    name: { type: 'string', value: 'NAME', description: 'put it where `corral run NAME` finds it (~/.corral/distributions/NAME)' },
    output: { type: 'string', value: 'FILE', short: 'o', description: 'the file to write; - writes to the terminal; default corral.yaml' },
    force: { type: 'boolean', short: 'f', description: 'overwrite the file if it is there' },
    run: { type: 'boolean', description: 'serve it at once' },
    json: jsonOption,
    ...buildCompatibilityOptions,
  },
  examples: [
    ['Groq alone, in ./corral.yaml', 'corral build --providers "inference=remote::groq"'],
    [
      'Two providers, in a file of that name',
      'corral build --providers "inference=remote::openai,inference=remote::ollama" --output both.yaml',
    ],
    ['For `corral run groq`', 'corral build --providers "inference=remote::groq" --name groq'],
  ],
  async run({ options }, context) {
    if (options['list-distros'] || options['list-distributions'] || options['list-templates']) {
      const { listDistros } = await import('./list-distros.ts')
      return listDistros.run({ args: [], options: { json: options.json } }, context)
    }
    if (options['print-deps-only']) {
      context.stderr.write('Nothing to install: every provider comes with the package.\n')
      return 0
    }
    const distribution = options.distro ?? options.distribution ?? options.template
    const name = options.name ?? options['image-name']
    if (name !== undefined && !/^[A-Za-z0-9][\w.-]*$/.test(name)) {
      throw usageError(`--name cannot be '${name}'.`, 'Letters, digits, dots, dashes and underscores make a name.')
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
      spec === undefined ? 'corral build needs to know what to serve.' : 'corral build takes --providers or a distribution, not both.',
      'Say e.g. --providers "inference=remote::groq"; `corral list providers` names all.',
    )
  }
  const { plannedProviders: planned, providerDefinitions: definitions } = await import('../providers/index.ts')
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
  throw new CommandError(`There is no distribution '${distribution}'.`, { remedy: `Built in: ${names}.` })
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
      throw new CommandError(`${path} is there already.`, {
        remedy: 'Add --force to overwrite it, or name another with --output.',
        cause: error,
      })
    }
    throw new CommandError(`${path} cannot be written (${code ?? String(error)}).`, {
      remedy: 'Name another file with --output.',
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
  const read = variables.map((variable) => (unset.includes(variable) ? `${variable} (not set here)` : variable))
  if (read.length > 0) stdout.write(`It reads from the environment: ${read.join(', ')}\n`)
  stdout.write(`Serve it with: ${stdout.bold(`corral run ${source}`)}\n`)
  return 0
}
