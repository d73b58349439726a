import type { Requirements } from './requirement.ts'

/** The program as a process: signals, output, command line, proxies, addresses. */
export const processes: Requirements = {
  'PRO-1': {
    source: 'field report, process and command line; docs/deployment.md',
    when: 'SIGTERM or SIGINT arrives during start-up, with one process or several',
    observed:
      'from the first output on, every process ends with code 0 within the drain time; before, the exit code is 143 or 130; no process and no open port is left',
  },
  'PRO-2': {
    source: 'field report, process and command line; POSIX.1-2024 pipe(7)',
    when: 'the output of a command goes to a slow reader, to one that closes the pipe, or to a full disk',
    observed: 'exit after the last byte; a closed pipe ends the command quietly; any other write error is reported, with exit code 1',
  },
  'PRO-3': {
    source: 'field report, flags of the start command; Llama Stack 0.0 to 0.2, OGX 1.3',
    when: '`corral run` or `corral stack run` is given --env, --dry-run, --insecure or --disable-ipv6',
    observed:
      '--env sets a variable for ${env.…}, --dry-run checks the configuration and serves nothing; the others are accepted with a notice, and another host still needs authentication',
  },
  'PRO-4': {
    source: 'field report, process and command line; docs/configuration.md',
    when: 'HTTP_PROXY, HTTPS_PROXY or NO_PROXY is set, and a provider has network.proxy of its own or none',
    observed:
      'the file counts before the environment; loopback and localhost, the collector included, never go to a proxy of the environment; errors name the proxy that was used',
  },
  'PRO-5': {
    source: 'field report 68; OpenAPI 3.1 “Server Object”; RFC 3986 §5',
    when: 'a proxy serves Corral under a path and removes it',
    observed: 'the reference page, its files, the document and the `servers` in it work: their addresses are relative',
  },
  'PRO-6': {
    source: 'field report, process and command line; RFC 3986 §6.2',
    when: 'a path has doubled slashes (`//v1/models`, `/v1//models`)',
    observed: 'it is served as the path with single ones; authentication, policies, public routes and the logs go by that path',
  },
  'PRO-7': {
    source: 'field report, process and command line; JSON Schema 2020-12 §6.4 of Core, “Regular Expressions”',
    when: 'a program in another language reads `/openapi.json`',
    observed: 'every pattern compiles in Python’s `re` and Go’s RE2; the 409 of `POST /v1/models` and base64 vectors are documented',
  },
}
