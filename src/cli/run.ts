import { writeBanner } from './banner.ts'
import { CommandError, defineCommand, interruptedCode } from './command.ts'
import { ignoredRunOptions } from './ignored-options.ts'
import { envOption, withVariables } from './variables.ts'
import { workerVariable } from '../runtime/parent.ts'
import { whenAborted } from '../runtime/stop-signals.ts'

export const run = defineCommand({
  name: 'run',
  aliases: ['stack run', 'serve'],
  summary: 'Start the server',
  description:
    'Serves a distribution or a configuration file. The default is the starter distribution: every provider whose key or URL is in the environment, local servers (Ollama, LM Studio, vLLM, llama.cpp) on their default ports, and an embedded model.\n\nOptions override environment variables (CORRAL_PORT, CORRAL_CONFIG, CORRAL_LOGGING, also with the prefixes OGX_ and LLAMA_STACK_), which override the file. On SIGTERM or Ctrl+C, requests in flight finish first; a second Ctrl+C exits immediately.',
  arguments: [
    { name: 'starter|NAME|FILE', description: "a distribution's name (`corral list distros`) or a configuration file; default starter" },
  ],
  options: {
    port: { type: 'integer', value: 'PORT', short: 'p', description: 'port to listen on, 0 for any free port; default 8321' },
    host: { type: 'string', value: 'HOST', description: 'address to listen on; default: loopback only' },
    providers: {
      type: 'string',
      value: 'SPEC',
      description: 'providers to serve instead of a file, e.g. "inference=remote::groq,inference=remote::ollama"',
    },
    config: { type: 'string', value: 'FILE', short: 'c', description: 'same as the argument' },
    workers: { type: 'integer', value: 'N', description: 'number of processes that share the port (Linux)' },
    logging: { type: 'string', value: 'LEVELS', description: 'log levels by category, e.g. "all=info,egress=debug"' },
    env: envOption,
    strict: { type: 'boolean', description: 'treat unknown keys and values of the file as errors' },
    'dry-run': { type: 'boolean', description: 'validate the configuration and exit, as `corral config validate`' },
    json: { type: 'boolean', description: 'print the address as a line of JSON when the server listens' },
    ...ignoredRunOptions,
  },
  examples: [
    ['Serve every provider with a key in the environment, and an embedded model', 'corral run'],
    ['Serve a file on another port', 'corral run groq.yaml --port 9000'],
    ['Serve a file that refers to ${env.INFERENCE_MODEL}', 'corral run run.yaml --env INFERENCE_MODEL=llama3.2:3b'],
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
