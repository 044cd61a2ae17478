<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Runs a program in a container until it or its caller ends; up to 1 MiB of its output where it is no stream.
 * @implements Command<\Coolify\Coold\Data\ContainersExecAnswer>
 */
final readonly class ContainersExec implements Command
{
    /**
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @param list<string> $cmd Program and arguments.
     * @param bool|null $tty Gives the program a terminal, whose output is one stream.
     * @param array<string, string|int|float|bool>|null $env Variables beside those of the container. A number, true or
     * false stands for its text.
     * @param string|null $workdir An absolute path in the container; the container's own when empty.
     * @param string|null $user A user, or user:group, each by name or number; the container's own when empty.
     */
    public function __construct(
        public string $id,
        public array $cmd,
        public ?bool $tty = null,
        public ?array $env = null,
        public ?string $workdir = null,
        public ?string $user = null,
    ) {
    }

    public function type(): string
    {
        return 'containers.exec';
    }

    public function fields(): array
    {
        return array_filter([
            'id' => $this->id,
            'cmd' => array_values($this->cmd),
            'tty' => $this->tty,
            'env' => $this->env === null ? null : (object) $this->env,
            'workdir' => $this->workdir,
            'user' => $this->user,
        ], static fn (mixed $value): bool => $value !== null);
    }

    public function deadline(): ?float
    {
        return null;
    }

    public function worksAnew(): bool
    {
        return true;
    }

    public function read(mixed $data): \Coolify\Coold\Data\ContainersExecAnswer
    {
        return \Coolify\Coold\Data\ContainersExecAnswer::from($data);
    }
}
