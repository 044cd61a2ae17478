<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Input;

final readonly class Mount
{
    /**
     * @param string $target An absolute path in the container.
     * @param string|null $volume A volume's name; made when it is not there.
     * @param string|null $bind A path of the host, below COOLD_ALLOWED_MOUNT_SOURCES.
     * @param bool|null $tmpfs Memory, empty at every start.
     * @param bool|null $readOnly The container can read it, and not write to it.
     */
    public function __construct(
        public string $target,
        public ?string $volume = null,
        public ?string $bind = null,
        public ?bool $tmpfs = null,
        public ?bool $readOnly = null,
    ) {
    }

    /** @return array<string, mixed> what is given, as JSON has it */
    public function fields(): array
    {
        return array_filter([
            'volume' => $this->volume,
            'bind' => $this->bind,
            'tmpfs' => $this->tmpfs,
            'target' => $this->target,
            'read_only' => $this->readOnly,
        ], static fn (mixed $value): bool => $value !== null);
    }
}
