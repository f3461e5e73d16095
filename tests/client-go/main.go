// Command client-go runs the informers of client-go against a server, for the tests.
//
//	client-go KUBECONFIG NAMESPACE
//
// It says "ready" when both informers, of whole objects and of metadata, have synced. To each line on its standard input it
// answers with a line of JSON: what each informer holds, as names with resourceVersions, and how many events it was told.
// It ends with its input. Whether lists are streamed is client-go's own variable: KUBE_FEATURE_WatchListClient.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

var instances = schema.GroupVersionResource{Group: "management.loft.sh", Version: "v1", Resource: "virtualclusterinstances"}

func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, namespace string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	partial, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	all := map[string]*counting{
		"dynamic":  newCounting(dynamicinformer.NewFilteredDynamicSharedInformerFactory(objects, 0, namespace, nil).ForResource(instances)),
		"metadata": newCounting(metadatainformer.NewFilteredSharedInformerFactory(partial, 0, namespace, nil).ForResource(instances)),
	}
	for _, informer := range all {
		go informer.Informer().Run(ctx.Done())
		if !cache.WaitForCacheSync(ctx.Done(), informer.Informer().HasSynced) {
			return fmt.Errorf("not synced")
		}
	}
	fmt.Println("ready")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		told := map[string]any{}
		for name, informer := range all {
			if told[name], err = informer.state(); err != nil {
				return err
			}
		}
		line, err := json.Marshal(told)
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return nil
}

// counting is an informer, and how many events it has told.
type counting struct {
	informers.GenericInformer
	events atomic.Int64
}

func newCounting(informer informers.GenericInformer) *counting {
	c := &counting{GenericInformer: informer}
	_, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { c.events.Add(1) },
		UpdateFunc: func(any, any) { c.events.Add(1) },
		DeleteFunc: func(any) { c.events.Add(1) },
	})
	if err != nil {
		panic(err) // Only a stopped informer takes no handler.
	}
	return c
}

func (c *counting) state() (map[string]any, error) {
	objects, err := c.Lister().List(labels.Everything())
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, object := range objects {
		accessor, err := meta.Accessor(object)
		if err != nil {
			return nil, err
		}
		versions[accessor.GetName()] = accessor.GetResourceVersion()
	}
	return map[string]any{"events": c.events.Load(), "objects": versions}, nil
}
