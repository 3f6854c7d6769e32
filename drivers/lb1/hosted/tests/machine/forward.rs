//! Methods of a wrapped [`Function`](lifeboat_pci::Function) that the wrapper leaves as they are.

/// Implements the named methods by those of the field `inner`.
macro_rules! forward {
    ($($method:ident)*) => {
        $($crate::machine::forward::forward!(@$method);)*
    };
    (@location) => {
        fn location(&self) -> &str {
            self.inner.location()
        }
    };
    (@config) => {
        fn config(&self) -> std::sync::Arc<dyn lifeboat_pci::ConfigSpace + Send + Sync> {
            self.inner.config()
        }
    };
    (@bar) => {
        fn bar(
            &self,
            index: u8,
        ) -> Result<std::sync::Arc<dyn lifeboat_pci::Bar + Send + Sync>, lifeboat_pci::BusError> {
            self.inner.bar(index)
        }
    };
    (@dma_map) => {
        fn dma_map(
            &self,
            memory: &std::sync::Arc<lifeboat_pci::HostMemory>,
        ) -> Result<lifeboat_pci::Iova, lifeboat_pci::BusError> {
            self.inner.dma_map(memory)
        }
    };
    (@dma_unmap) => {
        fn dma_unmap(&self, iova: lifeboat_pci::Iova) -> Result<(), lifeboat_pci::BusError> {
            self.inner.dma_unmap(iova)
        }
    };
    (@irq_enable) => {
        fn irq_enable(&self, vectors: u8, handler: lifeboat_pci::IrqHandler) -> Result<(), lifeboat_pci::BusError> {
            self.inner.irq_enable(vectors, handler)
        }
    };
    (@irq_disable) => {
        fn irq_disable(&self) {
            self.inner.irq_disable();
        }
    };
    (@release) => {
        fn release(&self) {
            self.inner.release();
        }
    };
}

pub(crate) use forward;
