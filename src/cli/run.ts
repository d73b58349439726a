import { writeBanner } from './banner.ts'
import { CommandError, defineCommand, interruptedCode } from './command.ts'
import { ignoredRunOptions } from './ignored-options.ts'
import { envOption, withVariables } from './variables.ts'
import { workerVariable } from '../runtime/parent.ts'
import { whenAborted } from '../runtime/stop-signals.ts'

export const run = defineCommand({
  name: 'run',
  aliases: ['stack run', 'serve'],
  summary: 'serve a distribution or a configuration file',
  description:
    'Without an argument this serves the starter distribution: every provider whose key or URL is in the environment, local servers (Ollama, LM Studio, vLLM, llama.cpp) on their usual ports, and an embedded model.\n\nA flag beats a variable (CORRAL_PORT, CORRAL_CONFIG, CORRAL_LOGGING; OGX_... and LLAMA_STACK_... work too), a variable beats the file. SIGTERM and Ctrl+C let running requests finish; a second Ctrl+C stops at once.',
  arguments: [
    { name: 'starter|NAME|FILE', description: "a distribution's name (`corral list distros`) or a configuration file; default starter" },
  ],
  options: {
    port: { type: 'integer', value: 'PORT', short: 'p', description: 'port to listen on; 0 takes a free one; default 8321' },
    host: { type: 'string', value: 'HOST', description: 'address to listen on; default this machine only' },
    providers: {
      type: 'string',
      value: 'SPEC',
      description: 'serve these in the place of a file, e.g. "inference=remote::groq,inference=remote::ollama"',
    },
    config: { type: 'string', value: 'FILE', short: 'c', description: 'the same as the argument' },
    workers: { type: 'integer', value: 'N', description: 'processes that share the port (Linux)' },
    logging: { type: 'string', value: 'LEVELS', description: 'levels by category, e.g. "all=info,egress=debug"' },
    env: envOption,
    strict: { type: 'boolean', description: 'treat what is not understood in the file as an error' },
    'dry-run': { type: 'boolean', description: 'check the configuration and serve nothing, as `corral config validate`' },
    json: { type: 'boolean', description: 'tell the address as a line of JSON once it is served' },
    ...ignoredRunOptions,
  },
  examples: [
    ['Serve what the environment has keys for, and an embedded model', 'corral run'],
    ['Serve a file on another port', 'corral run groq.yaml --port 9000'],
    ['Serve a file that reads ${env.INFERENCE_MODEL}', 'corral run run.yaml --env INFERENCE_MODEL=llama3.2:3b'],
    ['Serve one provider without a file', 'corral run --providers "inference=remote::groq"'],
  ],
  async run({ args, options }, context) {
    const { port, host, providers, workers, logging, strict } = options
    const { loadChosen, oneSource } = await import('./configuration.ts')
    const choice = { source: oneSource(args[0], options.config), flags: { port, host, providers, workers, logging }, strict }
    const configured = { ...context, env: withVariables(context.env, options.env) }
    if (options['dry-run']) {
      const { reportValidity } = await import('./validation-report.ts')
      return await reportValidity(choice, configured, options.json)
    }
    // Workers load the same configuration again; their supervisor has reported its warnings.
    const isWorker = context.env[workerVariable] !== undefined
    const reporting = isWorker ? { ...configured, stderr: { ...context.stderr, write: () => {} } } : configured
    const { stdout, stderr, env, signal } = context
    const loading = loadChosen({ ...choice, probe: true }, reporting)
    await Promise.race([loading, whenAborted(signal)])
    // Before its first output the program ends as if it had no handler.
    if (signal.aborted) return stdout.hasWritten || stderr.hasWritten ? 0 : interruptedCode(signal)
    const { config } = await loading
    const { serve } = await import('../supervisor.ts')
    const { StartError } = await import('../server.ts')
    try {
      return await serve(config, {
        env,
        signal,
        onServing(serving) {
          const { urls, port: served } = serving
          const [url = ''] = urls
          const ids = config.providers.map(({ id }) => id)
          if (options.json)
            stdout.write(`${JSON.stringify({ url, urls, port: served, distribution: config.distribution, providers: ids })}\n`)
          else stdout.write(`Corral serves ${stdout.bold(url)} (API reference: ${url}/docs)\n`)
          if (stdout.isTerminal && !options.json) void writeBanner(serving, ids, stdout)
        },
      })
    } catch (error) {
      if (error instanceof StartError) throw new CommandError(error.message, { remedy: error.remedy, cause: error })
      throw error
    }
  },
})
