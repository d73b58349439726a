import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Governed, IdentityProvider, prepareGoverned } from './governed.ts'
import { onCore, serverCore } from './native.ts'

/** The telemetry of a server that is measured in addition to its speed. */
interface TelemetryOptions {
  /** `/metrics` is read each second while it is under load. */
  readonly scraped?: boolean
  /** Every span goes to the mock upstream, which is a collector as well. */
  readonly exports?: boolean
  /** The trace store that it writes: a file. */
  readonly store?: () => string
}

const here = import.meta.dirname
const cache = join(here, '.cache')

/** A measured server: how to install it, start it and send requests. */
export interface Candidate {
  readonly name: string
  /** One line for the table's legend. */
  readonly about: string
  /** Installs it if need be and returns its version; throws an Error that says why it cannot be measured here. */
  install(): string
  command(port: number, upstream: string): readonly string[]
  readonly env?: (port: number, upstream: string) => Record<string, string>
  /** GET returns 200 here once it serves. */
  readonly health: string
  readonly path?: string
  readonly model?: string
  readonly headers?: (upstream: string) => readonly string[]
  /** For comparison only; without a target. */
  readonly aside?: boolean
  /** Works after responses as well; CPU time is read when that is done. */
  readonly settles?: boolean
  readonly telemetry?: TelemetryOptions
  /** Name of the candidate that it is compared with at half of its own saturation. */
  readonly addedTo?: string
}

export const bun = process.execPath
const ownCheckout = join(here, '..')

function mainOf(checkout: string): string {
  return join(checkout, 'src', 'main.ts')
}

/** What the launcher sets before Bun starts; the bench starts Bun itself, so that the launcher's own memory does not count as the server's. */
const likeTheLauncher = { BUN_CONFIG_MAX_HTTP_REQUESTS: '65336', DO_NOT_TRACK: '1' }

interface CorralCandidate extends Pick<Candidate, 'name' | 'about' | 'aside'> {
  readonly env?: Readonly<Record<string, string>>
  /** The checkout that it is started from. */
  readonly checkout: string
}

function corral({ name, about, aside, env, checkout }: CorralCandidate): Candidate {
  return {
    name,
    about,
    ...(aside && { aside }),
    install: () => (JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string }).version,
    command(port, upstream) {
      const config = { base_url: `${upstream}/v1`, api_key: 'sk-upstream' }
      const inference = [{ provider_id: 'bench', provider_type: 'remote::openai-compatible', config }]
      const file = join(cache, `${name}.yaml`)
      // JSON is YAML.
      writeFileSync(file, JSON.stringify({ version: 2, distro_name: 'bench', providers: { inference }, server: { port } }))
      return [bun, mainOf(checkout), 'run', file]
    },
    env: () => ({ ...likeTheLauncher, ...env }),
    health: '/v1/health',
    model: 'bench/bench-model',
  }
}

interface GovernedCandidate extends Pick<Candidate, 'name' | 'about' | 'addedTo'> {
  /** Default: this one. */
  readonly checkout?: string
  /** The credential of its callers. */
  readonly shows: 'key' | 'token'
  /** The configuration's section. */
  readonly configures?: (upstream: string) => object
  /** `stores`: it keeps traces in its home. */
  readonly looked?: Omit<TelemetryOptions, 'store'> & { readonly stores?: boolean }
}

/** The same server with all of governance enabled. */
function governed({ name, about, addedTo, shows, configures, looked, checkout = ownCheckout }: GovernedCandidate): Candidate {
  const provider = new IdentityProvider()
  let prepared: Governed | undefined
  return {
    ...corral({ name, about, checkout }),
    settles: true,
    ...(addedTo !== undefined && { addedTo }),
    ...(looked && { telemetry: { ...looked, ...(looked.stores && { store: () => prepared!.traces }) } }),
    command(port, upstream) {
      const telemetry = configures?.(upstream)
      const command = [bun, mainOf(checkout)]
      prepared = prepareGoverned({ name, provider, folder: cache, port, upstream, corral: command, ...(telemetry && { telemetry }) })
      return [...command, 'run', prepared.file]
    },
    env: () => ({ ...likeTheLauncher, ...prepared?.env }),
    headers: () => [`authorization: Bearer ${prepared?.[shows]}`],
  }
}

export const candidates: readonly Candidate[] = [
  corral({ name: 'corral', about: 'Corral as `corral run FILE` starts it, one line of log a request', checkout: ownCheckout }),
  {
    name: 'bare relay',
    about: 'bench/relay.ts: the least that a relay on Bun can do; the limit',
    install: () => `Bun ${execFileSync(bun, ['--version'], { encoding: 'utf8' }).trim()}`,
    command: (port, upstream) => [bun, join(here, 'relay.ts'), String(port), `${upstream}/v1`],
    env: () => likeTheLauncher,
    health: '/v1/health',
  },
  corral({
    name: 'corral quiet',
    about: 'the same with CORRAL_LOGGING=all=warning',
    aside: true,
    env: { CORRAL_LOGGING: 'all=warning' },
    checkout: ownCheckout,
  }),
  governed({
    name: 'corral governed',
    about: 'all on: keys, tokens, both policies, limits on requests, tokens and dollars, ledger, audit log; callers show a key',
    shows: 'key',
  }),
  governed({
    name: 'corral governed by token',
    about: 'the same server; callers show a token of an identity provider',
    shows: 'token',
  }),
  governed({
    name: 'corral observed',
    about: 'as governed; a tenth of the traces kept in the trace store, `/metrics` read each second',
    shows: 'key',
    configures: () => ({ traces: { sampler: 'parentbased_traceidratio', ratio: 0.1 }, store: { enabled: true } }),
    looked: { scraped: true, stores: true },
  }),
  governed({
    name: 'corral traced',
    about: 'as governed; every trace sent to a collector by OTLP (HTTP, protobuf)',
    shows: 'key',
    configures: (upstream) => ({ otlp: { endpoint: upstream }, traces: { sampler: 'parentbased_always_on' } }),
    looked: { exports: true },
    addedTo: 'corral governed',
  }),
  {
    name: 'portkey',
    about: '@portkey-ai/gateway on Node',
    install() {
      if (!existsSync(join(here, 'node_modules', '@portkey-ai', 'gateway'))) {
        run('npm', ['ci', '--no-audit', '--no-fund'], here)
      }
      const manifest = join(here, 'node_modules', '@portkey-ai', 'gateway', 'package.json')
      return `${(JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version} on Node ${run('node', ['--version'], here).trim()}`
    },
    command: (port) => ['node', join(here, 'node_modules/@portkey-ai/gateway/build/start-server.js'), '--headless', `--port=${port}`],
    // Without this it rejects an upstream on loopback.
    env: () => ({ TRUSTED_CUSTOM_HOSTS: '127.0.0.1', NODE_ENV: 'production' }),
    health: '/',
    headers: (upstream) => ['x-portkey-provider: openai', `x-portkey-custom-host: ${upstream}/v1`],
  },
  {
    name: 'bifrost',
    about: 'github.com/maximhq/bifrost/transports/bifrost-http (Go)',
    install() {
      const program = join(cache, 'go', 'bin', 'bifrost-http')
      if (!existsSync(program)) {
        run('go', ['install', 'github.com/maximhq/bifrost/transports/bifrost-http@latest'], cache, {
          GOPATH: join(cache, 'go'),
          GOFLAGS: '-modcacherw',
        })
      }
      return /mod\s+\S+\s+(\S+)/.exec(run('go', ['version', '-m', program], cache))?.[1] ?? 'unknown version'
    },
    command(port, upstream) {
      const folder = join(cache, 'bifrost')
      mkdirSync(folder, { recursive: true })
      const keys = [{ name: 'bench', value: 'sk-upstream', models: ['bench-model'], weight: 1 }]
      const network_config = { base_url: upstream, default_request_timeout_in_seconds: 120 }
      writeFileSync(
        join(folder, 'config.json'),
        JSON.stringify({
          client: { drop_excess_requests: false, initial_pool_size: 2000, enable_logging: false },
          providers: { openai: { keys, network_config, concurrency_and_buffer_size: { concurrency: 2000, buffer_size: 4000 } } },
        }),
      )
      return [
        join(cache, 'go', 'bin', 'bifrost-http'),
        '-host',
        '127.0.0.1',
        '-port',
        String(port),
        '-app-dir',
        folder,
        '-log-level',
        'error',
      ]
    },
    env: () => ({ GOMAXPROCS: '1' }),
    health: '/health',
    model: 'openai/bench-model',
  },
  {
    name: 'litellm',
    about: "LiteLLM's proxy (Python), one worker",
    install() {
      const folder = join(cache, 'litellm')
      const pip = join(folder, 'bin', 'pip')
      if (!existsSync(join(folder, 'bin', 'litellm'))) {
        rmSync(folder, { recursive: true, force: true })
        run('python3', ['-m', 'venv', folder], here)
        run(pip, ['install', '--quiet', 'litellm[proxy]'], here)
      }
      return /Version: (\S+)/.exec(run(pip, ['show', 'litellm'], here))?.[1] ?? 'unknown version'
    },
    command(port, upstream) {
      const file = join(cache, 'litellm.yaml')
      const litellm_params = { model: 'openai/bench-model', api_base: `${upstream}/v1`, api_key: 'sk-upstream' }
      writeFileSync(
        file,
        JSON.stringify({ model_list: [{ model_name: 'bench-model', litellm_params }], litellm_settings: { telemetry: false } }),
      )
      return [
        join(cache, 'litellm', 'bin', 'litellm'),
        '--config',
        file,
        '--host',
        '127.0.0.1',
        '--port',
        String(port),
        '--num_workers',
        '1',
      ]
    },
    env: () => ({
      LITELLM_LOG: 'ERROR',
      LITELLM_TELEMETRY: 'False',
      LITELLM_LOCAL_MODEL_COST_MAP: 'True',
      // No candidate authenticates callers in this benchmark; without this it does not start.
      LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY: 'true',
    }),
    health: '/health/liveliness',
  },
]

export interface Installed {
  readonly candidate: Candidate
  readonly version: string
}

export interface UnderTest {
  readonly candidate: Candidate
  readonly version: string
  readonly pid: number
  readonly url: string
  readonly headers: readonly string[]
  /** Where the mock upstream is. */
  readonly upstream: string
  /** Default SIGKILL. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Starts a candidate on its core and resolves once it responds. */
export async function start({ candidate, version }: Installed, upstream: string): Promise<UnderTest> {
  const port = await freePort()
  const log = openSync(join(cache, `${candidate.name.replaceAll(/\W+/g, '-')}.log`), 'w')
  const [program = '', ...words] = onCore(serverCore, candidate.command(port, upstream))
  const child = spawn(program, words, {
    env: { ...process.env, ...candidate.env?.(port, upstream) },
    stdio: ['ignore', log, log],
  })
  const address = `http://127.0.0.1:${port}`
  await untilHealthy(`${address}${candidate.health}`, child, candidate.name)
  return {
    candidate,
    version,
    pid: child.pid!,
    url: `${address}${candidate.path ?? '/v1/chat/completions'}`,
    headers: candidate.headers?.(upstream) ?? [],
    upstream,
    async stop(signal = 'SIGKILL') {
      const exited = new Promise((resolve) => child.once('exit', resolve))
      if (child.exitCode !== null || !child.kill(signal)) return
      await exited
    },
  }
}

async function untilHealthy(url: string, child: ChildProcess, name: string): Promise<void> {
  const giveUpAt = Date.now() + 90_000
  while (Date.now() < giveUpAt) {
    if (child.exitCode !== null) break
    const response = await fetch(url).catch(() => undefined)
    if (response?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  child.kill('SIGKILL')
  throw new Error(`${name} did not respond at ${url}; its output is in bench/.cache`)
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}

/** Runs an installer; its last words become the reason why the candidate is left out. */
function run(program: string, args: readonly string[], cwd: string, env: Record<string, string> = {}): string {
  try {
    return execFileSync(program, [...args], {
      cwd,
      env: { ...process.env, ...env },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 600_000,
    })
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string }
    const lines = stderr
      .trim()
      .split('\n')
      .filter((line) => line !== '')
    throw new Error(`\`${program} ${args.join(' ')}\` failed: ${(lines.at(-1) ?? message).trim().slice(0, 300)}`, { cause: error })
  }
}

/** Names of the candidates that a comparison of two checkouts measures, this checkout's and the other's side by side. */
export const comparedPairs = [
  ['corral', 'corral before'],
  ['corral governed', 'corral governed before'],
] as const

/** Candidates for `--against`: the ungoverned and the governed server of this checkout and of another one. */
export function comparedCandidates(checkout: string): readonly Candidate[] {
  const about = `the same, started from ${checkout}`
  const own = candidates.filter(({ name }) => comparedPairs.some(([one]) => one === name))
  return [
    ...own,
    corral({ name: 'corral before', about, checkout }),
    governed({ name: 'corral governed before', about, shows: 'key', checkout }),
  ]
}
