<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * What a container wrote; with `follow` what it writes until it stops; up to 1 MiB where it is no stream.
 * @implements Command<\Coolify\Coold\Data\ContainersLogsAnswer>
 */
final readonly class ContainersLogs implements Command
{
    /**
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @param int|null $tail Only this many of the last lines; all when absent.
     * @param int|float|null $since Unix time in seconds.
     * @param bool|null $stdout Both streams when neither is named; else those that are true.
     * @param bool|null $stderr As `stdout`, for the other stream.
     * @param bool|null $timestamps Each line begins with its time, RFC 3339.
     * @param bool|null $follow Goes on with what is written from now on; only as a stream.
     */
    public function __construct(
        public string $id,
        public ?int $tail = null,
        public int|float|null $since = null,
        public ?bool $stdout = null,
        public ?bool $stderr = null,
        public ?bool $timestamps = null,
        public ?bool $follow = null,
    ) {
    }

    public function type(): string
    {
        return 'containers.logs';
    }

    public function fields(): array
    {
        return array_filter([
            'id' => $this->id,
            'tail' => $this->tail,
            'since' => $this->since,
            'stdout' => $this->stdout,
            'stderr' => $this->stderr,
            'timestamps' => $this->timestamps,
            'follow' => $this->follow,
        ], static fn (mixed $value): bool => $value !== null);
    }

    public function deadline(): ?float
    {
        return null;
    }

    public function worksAnew(): bool
    {
        return false;
    }

    public function read(mixed $data): \Coolify\Coold\Data\ContainersLogsAnswer
    {
        return \Coolify\Coold\Data\ContainersLogsAnswer::from($data);
    }
}
